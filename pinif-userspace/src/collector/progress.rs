//! How far something is that takes long.

use std::{
    iter,
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

/// All of it in batches of at most [`AT_ONCE`]. How much is done is reported as the next batch is asked for.
pub(super) fn batches<'a, T>(
    what: Work,
    all: &'a [T],
    hub: &Arc<Hub>,
) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
    let mut progress = Progress::new(what, all.len());
    let hub = Arc::clone(hub);
    let mut rest = all;
    let mut size = AT_ONCE;
    let mut began = None;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        progress.report(all.len() - rest.len(), &hub);
        if let Some(began) = began.replace(Instant::now()) {
            size = next_size(size, began.elapsed());
        }
        let (batch, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some(batch)
    })
}

/// How many the next batch has, where one of so many took so long: who asks waits for no longer than a batch.
fn next_size(size: usize, took: Duration) -> usize {
    if took > EVERY {
        (size / 2).max(1)
    } else if took < EVERY / 4 {
        (size * 2).min(AT_ONCE)
    } else {
        size
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_become_smaller_where_they_take_long_and_larger_again() {
        let mut size = AT_ONCE;
        let mut after = |millis| {
            size = next_size(size, Duration::from_millis(millis));
            size
        };
        assert_eq!([500, 1_500, 5_000].map(&mut after), [64, 32, 16]);
        assert_eq!([500, 100, 100, 100].map(&mut after), [16, 32, 64, 64]);
        assert_eq!([5_000; 7].map(after), [32, 16, 8, 4, 2, 1, 1]);
    }
}
