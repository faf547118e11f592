//! Who reads what is published, and what it takes.

use std::{io, sync::Arc, time::Duration};

use super::{event::Event, snapshot::Snapshot};

/// A reader of the events: it shows them to people or programs.
///
/// An error of the kind [`BrokenPipe`](io::ErrorKind::BrokenPipe) says that its reader has left and that the audit is to end, as
/// after Ctrl-C. Any other error ends this subscriber alone, and is reported to the others.
pub trait Subscriber: Send {
    /// What it is called in messages: `standard output`.
    fn name(&self) -> &'static str;

    /// Takes what was published, in its order. The collector does not wait for it.
    ///
    /// # Errors
    ///
    /// When it cannot go on.
    fn on(&mut self, delivery: &Delivery) -> io::Result<()>;

    /// Takes an event in the thread that publishes it, where it can without waiting for anybody: all of it, or nothing. What it does not
    /// take comes to [`on`](Self::on), in a thread of its own, and so does what fails.
    fn takes_at_once(&mut self, _event: &Event) -> bool {
        false
    }

    /// How old its last snapshot ([`Delivery::Snapshot`]) may become while nothing is published; none, where it takes none. After
    /// something was published it gets the next that is made.
    fn snapshots_within(&self) -> Option<Duration> {
        None
    }

    /// How many lines it could not write.
    fn lost(&self) -> u64 {
        0
    }
}

/// What a subscriber takes from its queue.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An event.
    Event(Event),
    /// The newest snapshot; only for subscribers that want them.
    Snapshot(Arc<Snapshot>),
    /// So many events before this found no room in the queue, for it was not read fast enough.
    Missed(u64),
}
