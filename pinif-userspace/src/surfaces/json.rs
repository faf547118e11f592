//! JSON Lines for programs: one object a line, each line in a single write, so that a reader never sees half of one.

use std::borrow::Cow;
use std::io::{self, Stderr, Stdout, Write};

use pinif_ebpf::loss::Loss;

use super::level::Level;
use super::lines::Unbuffered;
use super::notes::Notes;
use super::output::{Output, WithoutReader};
use super::surface::Surface;
use crate::findings::finding::Finding;
use crate::findings::latent::Latent;
use crate::findings::line::{Line, Lost, Uncounted};
use crate::findings::ready::Ready;
use crate::findings::summary::Summary;
use crate::hub::Change;
use crate::text::json;

/// Lines on `out`; notes apart from them, on `notes`.
#[derive(Debug)]
pub struct Json<O, E> {
    out: Output<O>,
    notes: Notes<E>,
}

impl Json<Unbuffered<Stdout>, Unbuffered<Stderr>> {
    /// On standard output, with the notes on standard error.
    pub fn standard(without_reader: WithoutReader) -> Self {
        Self::new(Output::standard(without_reader), Notes::standard())
    }
}

impl<O: Write, E: Write> Json<O, E> {
    /// On any streams.
    pub fn new(out: Output<O>, notes: Notes<E>) -> Self {
        Self { out, notes }
    }

    fn line(&mut self, line: Line<'_>) -> io::Result<()> {
        let gap = |lines| json::line(&Line::Lost(Lost { lines })).unwrap_or_default();
        self.out.write(&json::line(&line)?, gap, &mut self.notes)
    }
}

impl<O: Write + Send, E: Write + Send> Surface for Json<O, E> {
    fn name(&self) -> &'static str {
        "standard output"
    }

    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.line(Line::Ready(Cow::Borrowed(ready)))
    }

    fn finding(&mut self, finding: &Finding, _: Change) -> io::Result<()> {
        self.line(Line::Finding(Box::new(finding.into())))
    }

    fn finding_at_once(&mut self, finding: &Finding) -> bool {
        let line = || json::line(&Line::Finding(Box::new(finding.into()))).ok();
        self.out.write_at_once(line)
    }

    fn foreseen(&mut self, latent: &Latent) -> io::Result<()> {
        self.line(Line::Finding(Box::new(latent.into())))
    }

    fn uncounted(&mut self, loss: Loss, number: u64) -> io::Result<()> {
        let reason = loss.name().to_owned();
        self.line(Line::Uncounted(Uncounted { reason, number }))
    }

    fn missed(&mut self, events: u64) -> io::Result<()> {
        self.line(Line::Lost(Lost { lines: events }))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.line(Line::Summary(Cow::Borrowed(summary)))?;
        self.out.end(&mut self.notes);
        Ok(())
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        self.notes.note(level, text);
        Ok(())
    }

    fn reader_left(&mut self) {
        self.out.reader_left(&mut self.notes);
    }

    fn lost(&self) -> u64 {
        self.out.lost()
    }
}
