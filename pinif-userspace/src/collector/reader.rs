//! Whoever reads what is found, and may leave at any time, as in `pinif audit | head`.

use std::io;

use crate::{
    findings::{
        finding::{Finding, Ready, Summary},
        latent::Latent,
    },
    surfaces::{Level, Sink},
    text::streams::is_closed,
};

/// A sink that is told nothing more once its reader has left, which is no error.
pub(super) struct Reader<'a> {
    sink: &'a mut dyn Sink,
    left: bool,
}

impl<'a> Reader<'a> {
    /// The reader of a sink.
    pub(super) fn of(sink: &'a mut dyn Sink) -> Self {
        Self { sink, left: false }
    }

    /// Whether nobody reads any more.
    pub(super) fn has_left(&self) -> bool {
        self.left
    }

    fn tell(&mut self, tell: impl FnOnce(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        if self.left {
            return Ok(());
        }
        match tell(self.sink) {
            Err(error) if is_closed(&error) => {
                self.left = true;
                Ok(())
            }
            outcome => outcome,
        }
    }
}

impl Sink for Reader<'_> {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.tell(|sink| sink.ready(ready))
    }

    fn finding(&mut self, finding: &Finding, first: bool) -> io::Result<()> {
        self.tell(|sink| sink.finding(finding, first))
    }

    fn latent(&mut self, latent: &Latent) -> io::Result<()> {
        self.tell(|sink| sink.latent(latent))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.tell(|sink| sink.summary(summary))
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        self.tell(|sink| sink.note(level, text))
    }

    fn reader_left(&mut self) {
        self.sink.reader_left();
    }

    fn lost(&self) -> u64 {
        // A reader that left has read enough.
        if self.left { 0 } else { self.sink.lost() }
    }
}
