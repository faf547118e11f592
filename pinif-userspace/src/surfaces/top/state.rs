//! What is shown, and how it changes: pure, so that tests drive it by data alone.

use std::time::Duration;

use super::cursor::Move;
use super::data::{Data, Fetched};
use super::filter;
use super::keys::{self, Command, Key};
use super::view::View;
use super::views::finding::Open;
use super::views::findings::List;
use super::views::help::Help;
use super::views::interfaces::Interfaces;
use super::views::matrix::MatrixView;
use super::views::overview::Overview;
use super::views::policy::Policy;
use super::views::sockets::SocketList;
use super::wanted::Wanted;
use crate::surfaces::look::Look;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// The screen has another size now: columns and lines.
    Resize(u16, u16),
    /// The auditor has answered.
    Fetched(Box<Fetched>),
    /// The auditor does not answer; and why.
    Lost(String),
    /// Time has passed.
    Tick,
}

/// What is to be done then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Draw.
    Draw,
    /// Draw, and ask the auditor at once: something else is wanted than before.
    Ask,
    /// Draw all anew, whatever the terminal has.
    Redraw,
    /// Stop, until the user goes on.
    Suspend,
    /// End.
    Quit,
}

/// The lines that are not the view's: the headline, the views' names, and the keys.
pub const FRAME: usize = 3;

/// What is shown.
#[derive(Debug)]
pub struct Top {
    pub(super) look: Look,
    size: (u16, u16),
    pub(super) data: Data,
    pub(super) view: View,
    pub(super) overview: Overview,
    pub(super) matrix: MatrixView,
    pub(super) findings: List,
    pub(super) sockets: SocketList,
    pub(super) interfaces: Interfaces,
    pub(super) policy: Policy,
    pub(super) open: Option<Open>,
    pub(super) help: Option<Help>,
    pub(super) filter: String,
    /// The filter that is being written.
    pub(super) written: Option<String>,
    pub(super) is_paused: bool,
    /// Why the auditor does not answer.
    pub(super) lost: Option<String>,
    /// What was done last, until the next key.
    pub(super) message: Option<String>,
    /// When the auditor has answered last.
    answered: Duration,
    now: Duration,
}

impl Top {
    /// Before anything was fetched, on a screen of this size.
    pub fn new(look: Look, size: (u16, u16)) -> Self {
        Self {
            look,
            size,
            data: Data::default(),
            view: View::default(),
            overview: Overview::default(),
            matrix: MatrixView::default(),
            findings: List::default(),
            sockets: SocketList::default(),
            interfaces: Interfaces::default(),
            policy: Policy::default(),
            open: None,
            help: None,
            filter: String::new(),
            written: None,
            is_paused: false,
            lost: None,
            message: None,
            answered: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    /// Takes what has happened, and says what is to be done.
    pub fn on(&mut self, input: Input, now: Duration) -> Effect {
        let age = self.age();
        self.now = now;
        match input {
            Input::Key(key) => self.key(key),
            Input::Resize(columns, lines) => {
                self.size = (columns, lines);
                Effect::Draw
            }
            Input::Fetched(fetched) => self.fetched(*fetched),
            Input::Lost(why) => self.lose(why, age),
            Input::Tick => self.passed(age),
        }
    }

    /// What is wanted of the auditor now; nothing, while what is shown is held.
    pub fn wanted(&self) -> Option<Wanted> {
        let findings = || (self.filter.clone(), self.findings.wanted(self.body().1));
        (!self.is_paused).then(|| Wanted {
            matrix: self.view == View::Matrix && self.open.is_none(),
            findings: (self.view == View::Findings && self.open.is_none()).then(findings),
            finding: self.open.as_ref().map(|open| open.id.clone()),
            sockets: (self.view == View::Sockets).then(|| self.sockets.wanted(self.body().1)),
            policy: self.view == View::Policy,
        })
    }

    /// How old what is shown is, in seconds, where that is more than is usual.
    pub fn age(&self) -> Option<u64> {
        let age = self.now.saturating_sub(self.answered).as_secs();
        (age >= 2).then_some(age)
    }

    /// How many columns and lines a view has.
    fn body(&self) -> (usize, usize) {
        let (columns, lines) = self.size;
        (
            usize::from(columns),
            usize::from(lines).saturating_sub(FRAME),
        )
    }

    fn fetched(&mut self, mut fetched: Fetched) -> Effect {
        if self.is_paused {
            return Effect::Nothing;
        }
        // What was asked for may be wanted no more.
        fetched
            .findings
            .take_if(|findings| findings.filter != self.filter);
        let open = self.open.as_ref().map(|open| &open.id);
        fetched.finding.take_if(|finding| Some(&finding.id) != open);
        let was_lost = self.lost.take().is_some();
        let restarted = self.data.take(fetched, self.now);
        if restarted {
            self.message = Some("the auditor was restarted: its counts began anew".to_owned());
        } else if was_lost {
            self.message = Some("the auditor answers again".to_owned());
        }
        self.answered = self.now;
        Effect::Draw
    }

    fn lose(&mut self, why: String, age: Option<u64>) -> Effect {
        if self.is_paused || self.lost.as_ref() == Some(&why) {
            return self.passed(age);
        }
        self.lost = Some(why);
        Effect::Draw
    }

    /// Time has passed since what is shown was so old.
    fn passed(&self, age: Option<u64>) -> Effect {
        if self.age() == age {
            Effect::Nothing
        } else {
            Effect::Draw
        }
    }

    fn key(&mut self, key: Key) -> Effect {
        if self.written.is_some() {
            return self.write(key);
        }
        let Some(command) = keys::command(key) else {
            return Effect::Nothing;
        };
        self.message = None;
        match command {
            Command::Quit => return Effect::Quit,
            Command::Suspend => return Effect::Suspend,
            Command::Redraw => return Effect::Redraw,
            Command::Help => {
                self.help = match self.help {
                    None => Some(Help::default()),
                    Some(_) => None,
                };
            }
            Command::Back => return self.back(),
            Command::Show(place) => return self.show(View::ALL[place]),
            Command::Next => return self.step(1),
            Command::Previous => return self.step(View::ALL.len() - 1),
            Command::Go(step) => return self.go(step),
            Command::Left if self.help.is_some() || self.open.is_some() => return self.back(),
            Command::Left => self.matrix.left(),
            Command::Right => self.matrix.right(&self.data),
            Command::Open => return self.open(),
            Command::Filter if self.view == View::Sockets && self.help.is_none() => {
                self.message = Some(
                    "sockets have no filter here: `pinif sockets` has options for it".to_owned(),
                );
            }
            Command::Filter => {
                let effect = self.show(View::Findings);
                self.written = Some(self.filter.clone());
                return effect;
            }
            Command::Sort => match self.view {
                View::Matrix => self.message = Some(format!("sorted: {}", self.matrix.sort())),
                View::Findings if self.open.is_none() => {
                    self.message = Some(format!("sorted: {}", self.findings.sort().name()));
                }
                View::Overview
                | View::Findings
                | View::Sockets
                | View::Interfaces
                | View::Policy => {}
            },
            Command::Pause => {
                self.is_paused = !self.is_paused;
                return if self.is_paused {
                    Effect::Draw
                } else {
                    Effect::Ask
                };
            }
        }
        Effect::Draw
    }

    /// A key, while a filter is written.
    fn write(&mut self, key: Key) -> Effect {
        self.message = None;
        let command = keys::command(key);
        let Some(written) = &mut self.written else {
            return Effect::Nothing;
        };
        match key {
            Key::Enter => {
                if let Err(error) = filter::read(written) {
                    self.message = Some(error);
                    return Effect::Draw;
                }
                self.filter = written.trim().to_owned();
                self.written = None;
                self.findings.rewind();
                return Effect::Ask;
            }
            Key::Escape => self.written = None,
            Key::Backspace => {
                written.pop();
            }
            Key::Char(letter) => written.push(letter),
            Key::Control('u') => written.clear(),
            _ => {
                return match command {
                    Some(Command::Quit) => Effect::Quit,
                    Some(Command::Suspend) => Effect::Suspend,
                    Some(Command::Redraw) => Effect::Redraw,
                    _ => Effect::Nothing,
                };
            }
        }
        Effect::Draw
    }

    fn back(&mut self) -> Effect {
        if self.help.take().is_some() {
            Effect::Draw
        } else if self.open.take().is_some() {
            self.data.finding = None;
            Effect::Ask
        } else if self.view == View::Findings && !self.filter.is_empty() {
            self.filter.clear();
            self.findings.rewind();
            Effect::Ask
        } else {
            Effect::Nothing
        }
    }

    fn show(&mut self, view: View) -> Effect {
        (self.help, self.open) = (None, None);
        self.data.finding = None;
        self.view = view;
        if view == View::Findings && self.filter.is_empty() {
            self.data.begin_findings();
        }
        Effect::Ask
    }

    fn step(&mut self, by: usize) -> Effect {
        let at = View::ALL.iter().position(|view| *view == self.view);
        let next = (at.unwrap_or(0) + by) % View::ALL.len();
        self.show(View::ALL[next])
    }

    fn go(&mut self, step: Move) -> Effect {
        let size = self.body();
        let (_, height) = size;
        if let Some(help) = &mut self.help {
            help.go(step, size);
            return Effect::Draw;
        }
        if let Some(open) = &mut self.open {
            if let Some(finding) = &self.data.finding {
                open.go(step, finding, size);
            }
            return Effect::Draw;
        }
        match self.view {
            View::Overview => self.overview.go(step, &self.data, size),
            View::Matrix => self.matrix.go(step, &self.data, height),
            View::Findings => {
                let wanted = self.findings.wanted(height);
                self.findings.go(step, &self.data, height);
                if self.findings.wanted(height) > wanted {
                    return Effect::Ask;
                }
            }
            View::Sockets => {
                let wanted = self.sockets.wanted(height);
                self.sockets.go(step, &self.data, height);
                if self.sockets.wanted(height) > wanted {
                    return Effect::Ask;
                }
            }
            View::Interfaces => self.interfaces.go(step, &self.data, height),
            View::Policy => self.policy.go(step, &self.data, size),
        }
        Effect::Draw
    }

    fn open(&mut self) -> Effect {
        if self.help.is_some() || self.open.is_some() {
            return Effect::Nothing;
        }
        let finding = match self.view {
            View::Overview => self.overview.selected(&self.data),
            View::Findings => self.findings.selected(&self.data),
            View::Sockets => {
                self.message = Some(
                    "all of a socket stands in its line: a wider terminal shows more".to_owned(),
                );
                return Effect::Draw;
            }
            View::Matrix | View::Interfaces | View::Policy => None,
        };
        let Some(finding) = finding.cloned() else {
            return Effect::Nothing;
        };
        self.open = Some(Open::new(finding.id.clone()));
        // Shown at once; what is new of it comes.
        self.data.finding = Some(finding);
        Effect::Ask
    }
}
