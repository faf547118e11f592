//! What is said beside the findings, on standard error: one line each.

use std::io::{self, Write};

use crate::text::escape::visible;

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All goes as it should.
    Info,
    /// The audit goes on, but not as it was asked to.
    Warning,
    /// Something failed.
    Error,
}

/// The stream of the notes.
#[derive(Debug)]
pub struct Notes<W> {
    to: W,
    journal: bool,
}

impl<W: Write> Notes<W> {
    /// Notes for a person who reads along.
    pub fn new(to: W) -> Self {
        Self { to, journal: false }
    }

    /// Notes for the journal: each line begins with its priority (sd-daemon(3)).
    pub fn journal(to: W) -> Self {
        Self { to, journal: true }
    }

    /// Writes a note, in a single write.
    pub fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        let prefix = match (self.journal, level) {
            (true, Level::Info) => "<6>",
            (true, Level::Warning) => "<4>",
            (true, Level::Error) => "<3>",
            (false, Level::Info) => "",
            (false, Level::Warning) => "warning: ",
            (false, Level::Error) => "error: ",
        };
        self.line(&format!("{prefix}{}", visible(text)))
    }

    /// Writes a line that is safe already, in a single write.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        self.to.write_all(format!("{line}\n").as_bytes())?;
        self.to.flush()
    }
}
