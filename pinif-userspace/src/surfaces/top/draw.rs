//! The frame of the screen: the headline, the views' names, the view, and what keys there are.

use anstyle::{Effects, Style};
use pinif_ebpf::verdict::Severity;
use ratatui_core::terminal::Frame;

use super::canvas::Canvas;
use super::facts::{Piece, facts};
use super::state::{FRAME, Top};
use super::view::View;
use crate::surfaces::look;
use crate::survey::unlisted;
use crate::text::escape::{columns, in_cells};
use crate::text::words::{counted, grouped};

/// Between two things on a line.
const GAP: usize = 2;
/// What the footer says where nothing else is to be said, the most important keys first.
const KEYS: [(&str, &str); 7] = [
    ("q", "end"),
    ("?", "help"),
    ("Enter", "open"),
    ("/", "filter"),
    ("s", "sort"),
    ("Space", "hold"),
    ("Tab", "next"),
];

impl Top {
    /// Draws all of it.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let mut canvas = Canvas::new(frame.buffer_mut(), area, self.look);
        let height = canvas.height();
        self.headline(&mut canvas.lines(0, 1));
        self.names(&mut canvas.lines(1, 1));
        let body = height.saturating_sub(FRAME);
        self.body_view(&mut canvas.lines(2, body));
        if height > 2 {
            self.footer(&mut canvas.lines(height - 1, 1));
        }
    }
}

impl Top {
    /// What must be seen at once, whatever else is looked at.
    fn headline(&self, canvas: &mut Canvas<'_>) {
        let mut pieces = vec![("pinif".to_owned(), look::strong())];
        match &self.data.status {
            None => pieces.push(("waiting for the auditor".to_owned(), look::faint())),
            Some(status) => pieces.extend(facts(status)),
        }
        pieces_on(canvas, 0, &pieces);
    }

    /// The views' names; where there is no room for all, that of the one that is shown.
    fn names(&self, canvas: &mut Canvas<'_>) {
        let shown = self.help.is_none().then_some(self.view);
        let names = |short: bool| {
            let all = View::ALL.into_iter().enumerate();
            all.map(|(index, view)| {
                let number = index + 1;
                match (short, shown == Some(view)) {
                    (true, false) => (format!("{number}"), Style::new()),
                    (false, false) => (format!("{number} {}", view.name()), Style::new()),
                    (_, true) => (format!("{number} {}", view.name()), chosen()),
                }
            })
            .collect::<Vec<Piece>>()
        };
        let long = names(false);
        let width: usize = long.iter().map(|(text, _)| columns(text) + GAP).sum();
        let pieces = if width > canvas.width() + GAP {
            names(true)
        } else {
            long
        };
        pieces_on(canvas, 0, &pieces);
    }

    fn body_view(&self, canvas: &mut Canvas<'_>) {
        if let Some(help) = &self.help {
            return help.draw(canvas);
        }
        if let Some(open) = &self.open {
            if let Some(finding) = &self.data.finding {
                open.draw(finding, self.data.finding_rates.of(&open.id), canvas);
            }
            return;
        }
        match self.view {
            View::Overview => self.overview.draw(&self.data, canvas),
            View::Matrix => self.matrix.draw(&self.data, canvas),
            View::Findings => self.findings.draw(&self.data, canvas),
            View::Sockets => self.sockets.draw(&self.data, canvas),
            View::Interfaces => self.interfaces.draw(&self.data, canvas),
            View::Policy => self.policy.draw(&self.data, canvas),
        }
    }

    /// What is being done, what has gone wrong, or what can be done.
    fn footer(&self, canvas: &mut Canvas<'_>) {
        let risk = look::of_severity(Severity::Risk);
        let mut width = canvas.width();
        if let Some(age) = self.age().filter(|_| self.data.status.is_some()) {
            let age = format!("{} s old", grouped(age));
            let taken = columns(&age).min(width);
            canvas.put_right(width - taken, 0, taken, &age, risk);
            width = width.saturating_sub(taken + GAP);
        }
        if let (Some(_), Some(message)) = (&self.written, &self.message) {
            canvas.put(0, 0, width, message, risk);
        } else if let Some(written) = &self.written {
            // The end of it is where it is written.
            let text = in_cells(written);
            let skipped = columns(&text).saturating_sub(width.saturating_sub(2));
            let text: String = text.chars().skip(skipped).collect();
            let at = canvas.put(0, 0, width, &format!("/{text}"), look::strong());
            canvas.put(at, 0, 1, "_", look::strong());
        } else if self.is_paused {
            canvas.put(0, 0, width, "held: Space goes on", chosen());
        } else if let Some(why) = &self.lost {
            let text = format!("no answer, asking again: {why}");
            canvas.put(0, 0, width, &text, risk);
        } else if let Some(message) = &self.message {
            canvas.put(0, 0, width, message, look::strong());
        } else {
            let mut pieces: Vec<Piece> = Vec::from_iter(self.listed());
            let keys = KEYS.map(|(key, does)| (format!("{key} {does}"), look::faint()));
            pieces.extend(keys);
            pieces_on(&mut canvas.columns(width), 0, &pieces);
        }
    }
}

impl Top {
    /// How much of a list is there.
    fn listed(&self) -> Option<Piece> {
        if self.open.is_some() || self.help.is_some() {
            return None;
        }
        let of = |listed: usize, total: u64, what: &str| {
            let listed = listed as u64;
            if listed < total {
                format!("the first {} of {}", grouped(listed), grouped(total))
            } else {
                counted(listed, what)
            }
        };
        let (findings, sockets) = (&self.data.findings, &self.data.sockets);
        let text = match self.view {
            View::Findings => {
                let of = of(findings.first.len(), findings.total, "finding");
                match self.filter.is_empty() {
                    true => of,
                    false => format!("{of} with {}", self.filter),
                }
            }
            // Why there are none stands where they would.
            View::Sockets if sockets.refused.is_some() => return None,
            View::Sockets => {
                let of = of(sockets.first.len(), sockets.total, "socket");
                match sockets.unlisted_raw {
                    0 => of,
                    raw => format!("{of}; {}", unlisted(raw)),
                }
            }
            View::Overview | View::Matrix | View::Interfaces | View::Policy => return None,
        };
        Some((text, look::strong()))
    }
}

/// The pieces beside each other, as many as have room.
fn pieces_on(canvas: &mut Canvas<'_>, y: usize, pieces: &[Piece]) {
    let mut at = 0;
    for (index, (text, style)) in pieces.iter().enumerate() {
        let needed = columns(&in_cells(text));
        // One that is cut off says more than none, where it is among the first.
        if at + needed > canvas.width() && index > 1 {
            break;
        }
        let room = canvas.width().saturating_sub(at);
        at += canvas.put(at, y, room, text, *style) + GAP;
    }
}

/// What is chosen of several.
fn chosen() -> Style {
    look::strong().effects(Effects::INVERT | Effects::BOLD)
}
