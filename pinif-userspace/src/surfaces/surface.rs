//! A surface: what shows the events of an audit.

use std::io;

use pinif_ebpf::loss::Loss;

use super::{level::Level, notice, phrase};
use crate::{
    findings::{finding::Finding, latent::Latent, ready::Ready, summary::Summary},
    hub::{Change, Event},
    text::words::counted,
};

/// Something that shows what the audit finds. Calls come in the order `ready`, any number of `finding` and others, `summary`; a
/// note may also come before.
///
/// An error of the kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) means that the reader has left and the audit is to end as after
/// Ctrl-C ([`WithoutReader::Ends`](super::WithoutReader::Ends)). A surface that cannot write otherwise is no error: it counts what is lost, and says so.
pub trait Surface: Send {
    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// All programs are attached.
    fn ready(&mut self, ready: &Ready) -> io::Result<()>;

    /// A finding, and what is new of it.
    fn finding(&mut self, finding: &Finding, change: Change) -> io::Result<()>;

    /// Shows a finding where it can without waiting for anybody, and says whether it did: then [`finding`](Self::finding) is not called.
    fn finding_at_once(&mut self, _finding: &Finding) -> bool {
        false
    }

    /// What would be a finding if something happened; once.
    fn foreseen(&mut self, latent: &Latent) -> io::Result<()>;

    /// So much is lost for this reason, in all so far.
    fn uncounted(&mut self, loss: Loss, number: u64) -> io::Result<()>;

    /// The audit has ended, and all findings were shown with their last counts.
    fn summary(&mut self, summary: &Summary) -> io::Result<()>;

    /// Something to be known that is no finding, such as a policy that was reloaded: one sentence.
    fn note(&mut self, level: Level, text: &str) -> io::Result<()>;

    /// So many events could not be shown, since the surface was not read fast enough.
    fn missed(&mut self, events: u64) -> io::Result<()> {
        let text = format!("{}: {}", counted(events, "event"), phrase::MISSED);
        self.note(Level::Warning, &text)
    }

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
