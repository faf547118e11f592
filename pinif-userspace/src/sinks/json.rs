//! JSON Lines for programs: one object a line, each line in a single write, so that a reader never sees half of one.

use std::io::{self, Stderr, Stdout, Write};

use super::notes::{Level, Notes};
use super::{Sink, journal, unwritten};
use crate::audit::finding::{Finding, Line, Ready, Summary};
use crate::audit::latent::Latent;
use crate::text::json;

/// Lines on `out`; notes apart from them, on `notes`.
#[derive(Debug)]
pub struct Json<O, E> {
    out: O,
    notes: Notes<E>,
}

impl Json<Stdout, Stderr> {
    /// On standard output, with the notes on standard error.
    pub fn standard() -> Self {
        let notes = if journal::is_standard_error() {
            Notes::journal(io::stderr())
        } else {
            Notes::new(io::stderr())
        };
        Self::new(io::stdout(), notes)
    }
}

impl<O: Write, E: Write> Json<O, E> {
    /// On any streams.
    pub fn new(out: O, notes: Notes<E>) -> Self {
        Self { out, notes }
    }

    fn line(&mut self, line: Line<'_>) -> io::Result<()> {
        let line = json::line(&line)?;
        let written = self.out.write_all(line.as_bytes());
        let written = written.and_then(|()| self.out.flush());
        written.map_err(unwritten)
    }
}

impl<O: Write + Send, E: Write + Send> Sink for Json<O, E> {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.line(Line::Ready(ready))
    }

    fn finding(&mut self, finding: &Finding, _first: bool) -> io::Result<()> {
        self.line(Line::Finding(finding.into()))
    }

    fn latent(&mut self, latent: &Latent) -> io::Result<()> {
        self.line(Line::Finding(latent.into()))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.line(Line::Summary(summary))
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        // The lines are what counts: that nobody reads the notes is no reason to end.
        let _ = self.notes.note(level, text);
        Ok(())
    }
}
