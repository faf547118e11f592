//! JSON Lines for programs: one object a line, each line in a single write, so that a reader never sees half of one.

use std::io::{self, Stderr, Stdout, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::notes::{Level, Notes};
use super::text::is_hazardous;
use super::{Sink, journal, unwritten};
use crate::audit::finding::{Finding, Line, Ready, Summary};
use crate::audit::latent::Latent;

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
        let line = json_line(&line)?;
        let written = self.out.write_all(&line).and_then(|()| self.out.flush());
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

/// A line with its newline. Whoever reads it gets every text as it was; whoever only looks at it on a terminal is safe.
pub(crate) fn json_line(line: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    line.serialize(&mut Serializer::with_formatter(
        &mut bytes,
        Safe(CompactFormatter),
    ))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes as `\uXXXX` also what JSON need not escape, but a terminal would act on (DEL, C1, bidirectional overrides).
struct Safe(CompactFormatter);

impl Formatter for Safe {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hazard)) = rest
            .char_indices()
            .find(|(_, character)| is_hazardous(*character))
        {
            self.0.write_string_fragment(writer, &rest[..at])?;
            for unit in hazard.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hazard.len_utf8()..];
        }
        self.0.write_string_fragment(writer, rest)
    }
}
