//! Lines with labels, broken where the screen ends, which are scrolled.

use std::ops::Range;

use anstyle::Style;

use super::canvas::Canvas;
use crate::surfaces::look;
use crate::text::escape::{columns, in_cells};
use crate::text::words::wrapped;

/// Where texts begin beside their labels.
const INDENT: usize = 10;
/// The fewest columns in which labels stand beside their texts.
const NARROW: usize = 40;

/// What stands below each other.
#[derive(Clone, Debug, Default)]
pub struct Page {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    label: String,
    text: String,
    style: Style,
    /// Whether its spaces are its own: it is broken anywhere.
    literal: bool,
}

/// A line as it is on the screen.
#[derive(Clone, Debug)]
struct Line<'a> {
    label: &'a str,
    indent: usize,
    text: String,
    style: Style,
}

impl Page {
    /// A text beside its label. An empty one is left out.
    pub fn field(&mut self, label: &str, text: impl Into<String>, style: Style) {
        self.add(label, text.into(), style, false);
    }

    /// A text across the screen.
    pub fn text(&mut self, text: impl Into<String>, style: Style) {
        self.add("", text.into(), style, false);
    }

    /// A line of code or of a file, whose spaces stay.
    pub fn literal(&mut self, label: &str, text: impl Into<String>) {
        self.add(label, text.into(), Style::new(), true);
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.parts.push(Part {
            label: String::new(),
            text: String::new(),
            style: Style::new(),
            literal: true,
        });
    }

    /// How many lines it has on a screen of this width.
    pub fn height(&self, width: usize) -> usize {
        self.lines(width).len()
    }

    /// Draws these of its lines.
    pub fn draw(&self, canvas: &mut Canvas<'_>, lines: Range<usize>) {
        let all = self.lines(canvas.width());
        for (y, line) in all.get(lines).unwrap_or(&[]).iter().enumerate() {
            let width = canvas.width();
            canvas.put(0, y, width, line.label, look::faint());
            canvas.put(line.indent, y, width, &line.text, line.style);
        }
    }

    fn add(&mut self, label: &str, text: String, style: Style, literal: bool) {
        if !text.is_empty() {
            self.parts.push(Part {
                label: label.to_owned(),
                text,
                style,
                literal,
            });
        }
    }

    fn lines(&self, width: usize) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for part in &self.parts {
            let beside = width >= NARROW;
            let indent = match (part.label.is_empty(), beside) {
                (true, _) => 0,
                (false, true) => INDENT,
                (false, false) => 2,
            };
            if !part.label.is_empty() && !beside {
                // A column of labels would leave too little beside it.
                lines.push(Line {
                    label: &part.label,
                    indent,
                    text: String::new(),
                    style: part.style,
                });
            }
            let text = in_cells(&part.text);
            let room = width.saturating_sub(indent).max(1);
            let text = match part.literal {
                true => text.into_owned(),
                false => wrapped(&text, room, 0),
            };
            let broken = text.split('\n').flat_map(|line| broken(line, room));
            for (index, text) in broken.enumerate() {
                lines.push(Line {
                    label: if index == 0 && beside {
                        &part.label
                    } else {
                        ""
                    },
                    indent,
                    text,
                    style: part.style,
                });
            }
        }
        lines
    }
}

/// A line in pieces of so many columns: a path or a command may be longer than the screen is wide.
fn broken(line: &str, most: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut at = 0;
    for character in line.chars() {
        let needed = columns(character.encode_utf8(&mut [0; 4]));
        if at + needed > most && at > 0 {
            pieces.push(String::new());
            at = 0;
        }
        at += needed;
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use ratatui_core::{buffer::Buffer, layout::Rect};

    use super::*;
    use crate::surfaces::look::Look;

    fn drawn(page: &Page, width: u16) -> Vec<String> {
        let height = page.height(usize::from(width));
        let area = Rect::new(0, 0, width, u16::try_from(height).expect("few"));
        let mut buffer = Buffer::empty(area);
        page.draw(&mut Canvas::new(&mut buffer, area, Look::PLAIN), 0..height);
        let lines = buffer.content().chunks(usize::from(width));
        lines
            .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn labels_stand_beside_their_texts_where_there_is_room() {
        let mut page = Page::default();
        page.field(
            "fix",
            "bind the socket to fab0, or give the route another table",
            Style::new(),
        );
        page.field("none", "", Style::new());
        page.gap();
        page.literal("run", "ip rule  add fwmark 1");
        assert_eq!(
            drawn(&page, 42),
            [
                "fix       bind the socket to fab0, or give",
                "          the route another table",
                "",
                "run       ip rule  add fwmark 1",
            ]
        );
        assert_eq!(
            drawn(&page, 20),
            [
                "fix",
                "  bind the socket to",
                "  fab0, or give the",
                "  route another",
                "  table",
                "",
                "run",
                "  ip rule  add fwmar",
                "  k 1",
            ]
        );
    }
}
