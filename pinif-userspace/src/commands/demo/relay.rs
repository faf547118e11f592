//! The sink through which the audit reaches the story. The story shows what it is told, between its own words: one
//! writer, one order.

use std::io;
use std::sync::mpsc::Sender;

use crate::findings::finding::{Finding, Ready, Summary};
use crate::findings::latent::Latent;
use crate::surfaces::{Level, Sink};

/// What the audit says.
#[derive(Clone, Debug)]
pub enum Event {
    /// Everything is attached.
    Ready(Ready),
    /// A finding, and whether this is its first sighting.
    Finding(Box<Finding>, bool),
    /// The audit has ended.
    Summary(Summary),
    /// A note.
    Note(Level, String),
}

/// Passes on what the audit says.
#[derive(Debug)]
pub struct Relay(pub Sender<Event>);

impl Relay {
    fn pass(&self, event: Event) -> io::Result<()> {
        // Whoever does not listen any more wants the audit to end.
        self.0
            .send(event)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Sink for Relay {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        self.pass(Event::Ready(ready.clone()))
    }

    fn finding(&mut self, finding: &Finding, first: bool) -> io::Result<()> {
        self.pass(Event::Finding(Box::new(finding.clone()), first))
    }

    fn latent(&mut self, _: &Latent) -> io::Result<()> {
        // The demo shows what happens.
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.pass(Event::Summary(summary.clone()))
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        self.pass(Event::Note(level, text.to_owned()))
    }
}
