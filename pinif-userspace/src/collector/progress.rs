//! How far something is that takes long.

use std::time::{Duration, Instant};

use crate::hub::{Hub, Notice, notice::Work};

/// How often it is reported.
const EVERY: Duration = Duration::from_secs(1);

/// Reports how far it is, where it takes longer than [`EVERY`].
pub(super) struct Progress {
    what: Work,
    all: usize,
    since: Instant,
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
