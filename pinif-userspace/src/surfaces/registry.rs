//! The one list of the surfaces.

use std::{io, path::Path};

use clap::ValueEnum;

use super::{
    human::Human,
    journal::{Journal, SOCKET},
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
struct Subscribed<S> {
    surface: S,
    /// Whether it shows the notices, too.
    notices: bool,
}

impl<S: Surface> Subscriber for Subscribed<S> {
    fn name(&self) -> &'static str {
        self.surface.name()
    }

    fn on(&mut self, delivery: &Delivery) -> io::Result<()> {
        match delivery {
            Delivery::Event(Event::Notice(_)) if !self.notices => Ok(()),
            Delivery::Event(event) => show(&mut self.surface, event),
            Delivery::Missed(events) => self.surface.missed(*events),
            // Nobody asks for one.
            Delivery::Snapshot(_) => Ok(()),
        }
    }

    fn takes_at_once(&mut self, event: &Event) -> bool {
        matches!(event, Event::Finding(finding, _) if self.surface.finding_at_once(finding))
    }

    fn lost(&self) -> u64 {
        self.surface.lost()
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

/// The format of the audit's output (`--format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: a terminal, a file, or the journal.
    #[default]
    Human,
    /// For programs: JSON Lines on standard output.
    Json,
}

/// The subscribers of a format, on this process's standard streams, the journal where standard error leads to it or its socket is
/// named, and the service manager where there is one. Entries of the journal have these fields of the machine. Here, and only here, a surface is entered.
pub fn open(
    format: Format,
    without_reader: WithoutReader,
    journal: Option<&Path>,
    machine: Vec<(String, String)>,
) -> Vec<Box<dyn Subscriber>> {
    let is_on_standard_output = is_on_standard_output(format);
    let mut all: Vec<Box<dyn Subscriber>> = match format {
        _ if !is_on_standard_output => {
            let socket = journal.unwrap_or(Path::new(SOCKET));
            vec![subscribed(Journal::standard(socket, machine.clone()), true)]
        }
        Format::Human => vec![subscribed(Human::standard(without_reader), true)],
        // The notes do not wait for whoever reads standard output.
        Format::Json => vec![
            subscribed(Json::standard(without_reader), false),
            Box::new(Beside(Notes::standard())),
        ],
    };
    if let Some(socket) = journal.filter(|_| is_on_standard_output) {
        all.push(subscribed(Journal::beside(socket, machine), false));
    }
    if let Some(manager) = Manager::of_environment() {
        all.push(Box::new(manager));
    }
    all
}

fn subscribed(surface: impl Surface + 'static, notices: bool) -> Box<dyn Subscriber> {
    Box::new(Subscribed { surface, notices })
}

/// Whether standard output is written to: beside the journal, there is nothing on it for people.
pub fn is_on_standard_output(format: Format) -> bool {
    format != Format::Human || !stderr::is_the_journal()
}
