//! What is found before an audit is ready, and reported once it is.

use std::io;

use crate::{
    findings::{
        finding::{Finding, Ready, Summary},
        latent::Latent,
    },
    surfaces::{Level, Sink},
};

/// A sink that is not told of findings before it is ready.
pub(super) struct Starting<'a> {
    sink: &'a mut dyn Sink,
    found: Vec<Finding>,
}

impl<'a> Starting<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink) -> Self {
        let found = Vec::new();
        Self { sink, found }
    }

    /// What is to be told once it is ready.
    pub(super) fn found(self) -> Vec<Finding> {
        self.found
    }
}

impl Sink for Starting<'_> {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.sink.ready(ready)
    }

    fn finding(&mut self, finding: &Finding, _first: bool) -> io::Result<()> {
        self.found.push(finding.clone());
        Ok(())
    }

    fn latent(&mut self, latent: &Latent) -> io::Result<()> {
        self.sink.latent(latent)
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.sink.summary(summary)
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        self.sink.note(level, text)
    }

    fn reader_left(&mut self) {
        self.sink.reader_left();
    }

    fn lost(&self) -> u64 {
        self.sink.lost()
    }
}
