//! How far something is that takes long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::hub::{Hub, Notice, notice::Work};

/// How often it is reported.
const EVERY: Duration = Duration::from_secs(1);
/// How many interfaces are attached to at once: they take the kernel half a second.
pub(super) const AT_ONCE: usize = 64;

/// Reports how far it is, where it takes longer than [`EVERY`].
pub(super) struct Progress {
    what: Work,
    all: usize,
    since: Instant,
}

/// All of it in batches of [`AT_ONCE`]. How much is done is reported as the next batch is asked for.
pub(super) fn batches<'a, T>(
    what: Work,
    all: &'a [T],
    hub: &Arc<Hub>,
) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
    let mut progress = Progress::new(what, all.len());
    let hub = Arc::clone(hub);
    let batches = all.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE));
    batches.map(move |(batch, done)| {
        progress.report(done, &hub);
        batch
    })
}

impl Progress {
    /// It begins.
    pub(super) fn new(what: Work, all: usize) -> Self {
        let since = Instant::now();
        Self { what, all, since }
    }

    /// Reports that so much is done, if it is time to.
    pub(super) fn report(&mut self, done: usize, hub: &Hub) {
        if self.since.elapsed() >= EVERY {
            self.since = Instant::now();
            let Self { what, all, .. } = *self;
            hub.note(Notice::Progress { what, done, all });
        }
    }
}
