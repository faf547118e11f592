//! Where findings go. A sink shows the same three lines in its own way; [`open`] is the one list of them.
//!
//! Texts reach a sink as processes and the kernel wrote them; each makes them safe for where it writes.

mod conclusion;
pub mod grid;
pub mod human;
pub mod journal;
pub mod json;
mod lines;
pub mod look;
mod matrix;
pub mod notes;
pub mod output;
mod phrase;
mod seen;

use std::io;

use clap::ValueEnum;

use crate::findings::{
    finding::{Finding, Ready, Summary},
    latent::Latent,
};
pub use notes::Level;
pub use output::WithoutReader;

/// Something that shows what the audit finds. Calls come in the order `ready`, any number of `finding` and `note`,
/// `summary`; a note may also come before.
///
/// An error of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) means that the reader has left and the audit is to end as after
/// Ctrl-C ([`WithoutReader::Ends`]). A sink that cannot write otherwise is no error: it counts what is lost, and says so.
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

    /// Nobody reads standard output any more, and the audit goes on.
    fn reader_left(&mut self) {}

    /// How many lines could not be written.
    fn lost(&self) -> u64 {
        0
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

/// The sinks of a format, on this process's standard streams. Here, and only here, a sink is entered.
pub fn open(format: Format, without_reader: WithoutReader) -> Vec<Box<dyn Sink>> {
    if !is_on_standard_output(format) {
        return vec![Box::new(journal::Journal::standard())];
    }
    match format {
        Format::Human => vec![Box::new(human::Human::standard(without_reader))],
        Format::Json => vec![Box::new(json::Json::standard(without_reader))],
    }
}

/// Whether standard output is written to: beside the journal, there is nothing on it for people.
pub fn is_on_standard_output(format: Format) -> bool {
    format != Format::Human || !journal::is_standard_error()
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

    fn reader_left(&mut self) {
        self.iter_mut().for_each(|sink| sink.reader_left());
    }

    fn lost(&self) -> u64 {
        self.iter().map(|sink| sink.lost()).sum()
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
