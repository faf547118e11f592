//! Where findings go. A sink shows the same three lines in its own way; [`open`] is the one list of them.
//!
//! Texts reach a sink as processes and the kernel wrote them; each makes them safe for where it writes.

pub mod grid;
pub mod human;
pub mod journal;
pub mod json;
pub mod look;
mod matrix;
pub mod notes;
mod phrase;
mod seen;
pub mod text;

use std::io;

use clap::ValueEnum;

use crate::audit::{
    finding::{Finding, Ready, Summary},
    latent::Latent,
};
pub use notes::Level;

/// Something that shows what the audit finds. Calls come in the order `ready`, any number of `finding` and `note`,
/// `summary`; a note may also come before.
///
/// An error of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) means that the reader has gone: the audit ends as after
/// Ctrl-C, and complains of nothing ([`reader_left`]).
pub trait Sink: Send {
    /// All programs are attached.
    fn ready(&mut self, ready: &Ready) -> io::Result<()>;

    /// A finding; `first` at its first sighting, otherwise it has grown or more is known of it.
    fn finding(&mut self, finding: &Finding, first: bool) -> io::Result<()>;

    /// What would be a finding if something happened; once.
    fn latent(&mut self, latent: &Latent) -> io::Result<()>;

    /// The audit has ended, and all findings were shown with their last counts.
    fn summary(&mut self, summary: &Summary) -> io::Result<()>;

    /// Something to be known that is no finding, such as a policy that was reloaded: one sentence.
    fn note(&mut self, level: Level, text: &str) -> io::Result<()>;
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

/// The sinks of a format, on this process's standard streams. Here, and only here, a sink is entered.
pub fn open(format: Format) -> Vec<Box<dyn Sink>> {
    match format {
        Format::Human if journal::is_standard_error() => {
            vec![Box::new(journal::Journal::standard())]
        }
        Format::Human => vec![Box::new(human::Human::standard())],
        Format::Json => vec![Box::new(json::Json::standard())],
    }
}

/// Several sinks are one: each is served even when another fails, and the first error is told.
impl Sink for Vec<Box<dyn Sink>> {
    fn ready(&mut self, ready: &Ready) -> io::Result<()> {
        serve(self, |sink| sink.ready(ready))
    }

    fn finding(&mut self, finding: &Finding, first: bool) -> io::Result<()> {
        serve(self, |sink| sink.finding(finding, first))
    }

    fn latent(&mut self, latent: &Latent) -> io::Result<()> {
        serve(self, |sink| sink.latent(latent))
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        serve(self, |sink| sink.summary(summary))
    }

    fn note(&mut self, level: Level, text: &str) -> io::Result<()> {
        serve(self, |sink| sink.note(level, text))
    }
}

fn serve(
    sinks: &mut [Box<dyn Sink>],
    mut show: impl FnMut(&mut dyn Sink) -> io::Result<()>,
) -> io::Result<()> {
    let mut served = Ok(());
    for sink in sinks {
        served = served.and(show(sink.as_mut()));
    }
    served
}

/// That a finding could not be told, in a sentence; of the same kind.
fn unwritten(error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("standard output cannot be written to: {error}"),
    )
}

/// Whether the error says no more than that nobody reads on, as in `pinif audit | head -1`.
pub fn reader_left(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}
