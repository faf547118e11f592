//! Standard output of an audit: its reader may leave and its disk may be full, which does not end the audit, and is reported.

use std::io::{self, IsTerminal, Stdout, Write};

use super::level::Level;
use super::lines::{Lines, Outcome, Unbuffered};
use super::notes::Notes;
use super::pipe::Pipe;
use crate::text::streams::{UNWRITTEN, is_closed};
use crate::text::words::counted;

/// What becomes of an audit whose reader leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutReader {
    /// It ends, as in `pinif audit | head`.
    #[default]
    Ends,
    /// It goes on: what it enforces must not end for want of a reader.
    GoesOn,
}

/// The stream of the findings.
#[derive(Debug)]
pub struct Output<W> {
    lines: Lines<W>,
    /// Standard output once more, where it is a pipe.
    pipe: Option<Pipe>,
    without_reader: WithoutReader,
    /// Whether it was a terminal at the beginning: one that hung up no longer reports that it is one.
    terminal: bool,
}

impl Output<Unbuffered<Stdout>> {
    /// This process's.
    pub fn standard(without_reader: WithoutReader) -> Self {
        Self {
            lines: Lines::new(Unbuffered(io::stdout())),
            pipe: Pipe::again(&io::stdout()),
            without_reader,
            terminal: io::stdout().is_terminal(),
        }
    }
}

impl<W: Write> Output<W> {
    /// Any stream.
    pub fn new(to: W, without_reader: WithoutReader) -> Self {
        Self {
            lines: Lines::new(to),
            pipe: None,
            without_reader,
            terminal: false,
        }
    }

    /// Writes lines, which may fail: that is logged when it begins and when it ends. `gap` makes the line that says how many
    /// lines are missing before it.
    ///
    /// # Errors
    ///
    /// Of the kind [`BrokenPipe`](io::ErrorKind::BrokenPipe), where the reader has left and the audit is to end.
    pub fn write(
        &mut self,
        lines: &str,
        gap: impl FnOnce(u64) -> String,
        notes: &mut Notes<impl Write>,
    ) -> io::Result<()> {
        match self.lines.write(lines, gap) {
            Outcome::Written => {}
            Outcome::WrittenAgain { lost } => {
                let (lines, were) = match lost {
                    1 => ("1 line".to_owned(), "was"),
                    lost => (counted(lost, "line"), "were"),
                };
                let text = format!("standard output can be written to again; {lines} {were} lost");
                notes.note(Level::Info, &text);
            }
            Outcome::Failed { error, .. }
                if self.without_reader == WithoutReader::Ends && self.is_left(&error) =>
            {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Outcome::Failed { error, first, lost } => {
                if first {
                    self.note(&error.to_string(), lost, notes);
                }
            }
        }
        Ok(())
    }

    /// Writes a line where nothing failed before and a pipe has room for all of it, and says whether it did. It never waits.
    pub fn write_at_once(&self, line: impl FnOnce() -> Option<String>) -> bool {
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.lines.is_sound()) else {
            return false;
        };
        line().is_some_and(|line| pipe.takes(line.as_bytes()))
    }

    /// The reader has left, before a write failed for it.
    pub fn reader_left(&mut self, notes: &mut Notes<impl Write>) {
        if self.lines.fail() {
            self.note("its reader has left", 0, notes);
        }
    }

    /// Notes at the end how much was lost in all.
    pub fn end(&self, notes: &mut Notes<impl Write>) {
        let lost = self.lost();
        if lost > 0 {
            let text = format!(
                "{} could not be written to standard output, in all",
                counted(lost, "line")
            );
            notes.note(Level::Warning, &text);
        }
    }

    /// How many lines could not be written.
    pub fn lost(&self) -> u64 {
        self.lines.lost()
    }

    fn note(&self, why: &str, lost: u64, notes: &mut Notes<impl Write>) {
        let lost = match lost {
            0 => "no line is lost yet".to_owned(),
            1 => "1 line is lost".to_owned(),
            lost => format!("{} are lost", counted(lost, "line")),
        };
        let on = match self.without_reader {
            WithoutReader::GoesOn => "the audit goes on, and enforcement with it",
            WithoutReader::Ends => "the audit goes on",
        };
        let text = format!("{UNWRITTEN}: {why}; {lost}, and those that follow are counted; {on}");
        notes.note(Level::Warning, &text);
    }

    /// A terminal that hung up takes nothing (`EIO`, tty(4)).
    fn is_left(&self, error: &io::Error) -> bool {
        is_closed(error) || self.terminal && error.raw_os_error() == Some(libc::EIO)
    }
}
