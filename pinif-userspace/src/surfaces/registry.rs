//! The one list of the surfaces.

use std::io;

use clap::ValueEnum;

use super::{
    human::Human,
    journal::Journal,
    json::Json,
    notes::Notes,
    notice,
    output::WithoutReader,
    service::Manager,
    stderr,
    surface::{Surface, show},
};
use crate::hub::{Delivery, Event, Subscriber};

/// A surface that subscribes to the hub.
struct Subscribed<S>(S);

impl<S: Surface> Subscriber for Subscribed<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        match delivery {
            Delivery::Event(event) => show(&mut self.0, event),
            Delivery::Missed(events) => self.0.missed(*events),
            // Nobody asks for one.
            Delivery::Snapshot(_) => Ok(()),
        }
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}

/// A surface that subscribes to all but the notices.
struct Findings<S>(S);

impl<S: Surface> Subscriber for Findings<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        match delivery {
            Delivery::Event(Event::Notice(_)) | Delivery::Snapshot(_) => Ok(()),
            Delivery::Event(event) => show(&mut self.0, event),
            Delivery::Missed(events) => self.0.missed(*events),
        }
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}

/// The notices alone.
struct Beside<W>(Notes<W>);

impl<W: io::Write + Send> Subscriber for Beside<W> {
    fn name(&self) -> &'static str {
        "standard error"
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        if let Delivery::Event(Event::Notice(notice)) = delivery {
            for (level, text) in notice::lines(notice) {
                self.0.note(level, &text);
            }
        }
        Ok(())
    }
}

/// How the audit speaks (`--format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: a terminal, a file, or the journal.
    #[default]
    Human,
    /// For programs: JSON Lines on standard output.
    Json,
}

/// The subscribers of a format, on this process's standard streams, and the service manager where there is one. Here, and only
/// here, a surface is entered.
pub fn open(format: Format, without_reader: WithoutReader) -> Vec<Box<dyn Subscriber>> {
    let mut all: Vec<Box<dyn Subscriber>> = match format {
        _ if !is_on_standard_output(format) => {
            vec![Box::new(Subscribed(Journal::standard()))]
        }
        Format::Human => vec![Box::new(Subscribed(Human::standard(without_reader)))],
        // The notes do not wait for whoever reads standard output.
        Format::Json => vec![
            Box::new(Findings(Json::standard(without_reader))),
            Box::new(Beside(Notes::standard())),
        ],
    };
    if let Some(manager) = Manager::of_environment() {
        all.push(Box::new(manager));
    }
    all
}

/// Whether standard output is written to: beside the journal, there is nothing on it for people.
pub fn is_on_standard_output(format: Format) -> bool {
    format != Format::Human || !stderr::is_the_journal()
}
