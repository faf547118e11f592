//! What people and programs see of an audit. A surface shows the events of the hub in its own way; [`open`] is the one list
//! of them.
//!
//! Texts reach a surface as processes and the kernel wrote them; each makes them safe for where it writes.

mod conclusion;
pub mod grid;
pub mod human;
pub mod journal;
pub mod json;
mod lines;
pub mod look;
mod matrix;
pub mod notes;
mod notice;
pub mod output;
mod phrase;
mod seen;
mod service;

use std::io;

use clap::ValueEnum;
use pinif_ebpf::loss::Loss;

pub use self::{notes::Level, output::WithoutReader};
use crate::{
    findings::{
        finding::{Finding, Ready, Summary},
        latent::Latent,
    },
    hub::{Change, Delivery, Event, Subscriber},
};

/// Something that shows what the audit finds. Calls come in the order `ready`, any number of `finding` and others, `summary`; a
/// note may also come before.
///
/// An error of the kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) means that the reader has left and the audit is to end as after
/// Ctrl-C ([`WithoutReader::Ends`]). A surface that cannot write otherwise is no error: it counts what is lost, and says so.
pub trait Surface: Send {
    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// All programs are attached.
    fn ready(&mut self, ready: &Ready) -> io::Result<()>;

    /// A finding, and what is new of it.
    fn finding(&mut self, finding: &Finding, change: Change) -> io::Result<()>;

    /// What would be a finding if something happened; once.
    fn foreseen(&mut self, latent: &Latent) -> io::Result<()>;

    /// So much is lost for this reason, in all so far.
    fn uncounted(&mut self, loss: Loss, number: u64) -> io::Result<()>;

    /// The audit has ended, and all findings were shown with their last counts.
    fn summary(&mut self, summary: &Summary) -> io::Result<()>;

    /// Something to be known that is no finding, such as a policy that was reloaded: one sentence.
    fn note(&mut self, level: Level, text: &str) -> io::Result<()>;

    /// So many events could not be shown, since the surface was not read fast enough.
    fn missed(&mut self, events: u64) -> io::Result<()>;

    /// Nobody reads standard output any more, and the audit goes on.
    fn reader_left(&mut self) {}

    /// How many lines could not be written.
    fn lost(&self) -> u64 {
        0
    }
}

/// Shows an event on a surface.
///
/// # Errors
///
/// The surface's.
pub fn show(surface: &mut dyn Surface, event: &Event) -> io::Result<()> {
    match event {
        Event::Ready(ready) => surface.ready(ready),
        Event::Finding(finding, change) => surface.finding(finding, *change),
        Event::Foreseen(latent) => surface.foreseen(latent),
        Event::Uncounted(loss, number) => surface.uncounted(*loss, *number),
        Event::Notice(notice) => notice::lines(notice)
            .iter()
            .try_for_each(|(level, text)| surface.note(*level, text)),
        Event::ReaderLeft => {
            surface.reader_left();
            Ok(())
        }
        Event::Ended(summary) => surface.summary(summary),
    }
}

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
struct Beside<W>(notes::Notes<W>);

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
            vec![Box::new(Subscribed(journal::Journal::standard()))]
        }
        Format::Human => vec![Box::new(Subscribed(human::Human::standard(without_reader)))],
        // The notes do not wait for whoever reads standard output.
        Format::Json => vec![
            Box::new(Findings(json::Json::standard(without_reader))),
            Box::new(Beside(notes::Notes::standard())),
        ],
    };
    if let Some(manager) = service::Manager::of_environment() {
        all.push(Box::new(manager));
    }
    all
}

/// Whether standard output is written to: beside the journal, there is nothing on it for people.
pub fn is_on_standard_output(format: Format) -> bool {
    format != Format::Human || !journal::is_standard_error()
}
