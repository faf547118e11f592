//! Notices besides the findings, on standard error: one line each.

use std::io::{self, Stderr, Write};

use super::level::Level;
use super::lines::{Lines, Outcome, Unbuffered};
use super::look;
use super::stderr;
use crate::text::escape::visible;
use crate::text::words::{counted, wrapped};

/// The stream of the notes. Where it cannot be written to, nothing ends: what is lost is reported on it once it can be.
#[derive(Debug)]
pub struct Notes<W> {
    to: Lines<W>,
    journal: bool,
    /// The terminal's width, where there is one.
    columns: fn() -> Option<usize>,
}

/// The notes on standard error.
pub type StandardNotes = Notes<Unbuffered<Stderr>>;

impl StandardNotes {
    /// On standard error, which may be the journal.
    pub fn standard() -> Self {
        let to = Unbuffered(io::stderr());
        if stderr::is_the_journal() {
            Self::journal(to)
        } else {
            Self::new(to).within(|| look::columns(io::stderr()))
        }
    }
}

impl<W: Write> Notes<W> {
    /// Notes for a person who reads along.
    pub fn new(to: W) -> Self {
        Self {
            to: Lines::new(to),
            journal: false,
            columns: || None,
        }
    }

    /// The same, whose lines are broken between words where the terminal ends.
    pub fn within(self, columns: fn() -> Option<usize>) -> Self {
        Self { columns, ..self }
    }

    /// Notes for the journal: each line begins with its priority (sd-daemon(3)).
    pub fn journal(to: W) -> Self {
        Self {
            to: Lines::new(to),
            journal: true,
            columns: || None,
        }
    }

    /// Writes a note, in a single write.
    pub fn note(&mut self, level: Level, text: &str) {
        let prefix = self.prefix(level);
        let line = format!("{prefix}{}", visible(text));
        match (self.columns)() {
            Some(columns) => self.line(&wrapped(&line, columns, 0)),
            None => self.line(&line),
        }
    }

    /// Writes a line that is safe already, in a single write.
    pub fn line(&mut self, line: &str) {
        let prefix = self.prefix(Level::Warning);
        let gap = |lost| {
            let lines = counted(lost, "line");
            format!("{prefix}{lines} could not be written here\n")
        };
        match self.to.write(&format!("{line}\n"), gap) {
            // There is no other place to report it.
            Outcome::Written | Outcome::WrittenAgain { .. } | Outcome::Failed { .. } => {}
        }
    }

    /// How many lines could not be written.
    pub fn lost(&self) -> u64 {
        self.to.lost()
    }

    fn prefix(&self, level: Level) -> &'static str {
        match (self.journal, level) {
            (true, Level::Info) => "<6>",
            (true, Level::Warning) => "<4>",
            (true, Level::Error) => "<3>",
            (false, Level::Info) => "",
            (false, Level::Warning) => "warning: ",
            (false, Level::Error) => "error: ",
        }
    }
}
