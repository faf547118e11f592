//! The subscriber through which the audit reaches the story. The story shows what it gets, between its own words: one writer,
//! one order.

use std::{io, sync::mpsc::Sender};

use crate::hub::{Delivery, Event, Subscriber};

/// Passes on what the audit publishes.
#[derive(Debug)]
pub struct Relay(pub Sender<Event>);

impl Subscriber for Relay {
    fn name(&self) -> &'static str {
        "the demo"
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        match delivery {
            // Whoever does not listen any more wants the audit to end.
            Delivery::Event(event) => self
                .0
                .send(event.clone())
                .map_err(|_| io::ErrorKind::BrokenPipe.into()),
            Delivery::Missed(_) | Delivery::Snapshot(_) => Ok(()),
        }
    }
}
