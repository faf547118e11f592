//! The last snapshot, for whoever asks again within a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::hub::Snapshot;

/// How old a snapshot may be that somebody is given who asks.
const RECENT: Duration = Duration::from_secs(1);

/// The snapshots that were made.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// How many.
    made: u64,
    last: Option<(Instant, Arc<Snapshot>)>,
}

impl Snapshots {
    /// The number of the next one.
    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Keeps one for a while.
    pub(super) fn keep(&mut self, snapshot: Snapshot, now: Instant) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        self.last = Some((now, Arc::clone(&snapshot)));
        snapshot
    }

    /// The last one, where it is not too old.
    pub(super) fn recent(&self, now: Instant) -> Option<Arc<Snapshot>> {
        let (made, last) = self.last.as_ref()?;
        (now.duration_since(*made) < RECENT).then(|| Arc::clone(last))
    }

    /// Gives up the last one, which says what is not so any more.
    pub(super) fn outdate(&mut self) {
        self.last = None;
    }

    /// Gives up one that nobody would be given any more: it may be large.
    pub(super) fn forget(&mut self, now: Instant) {
        if self.recent(now).is_none() {
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::ready::Attach;

    #[test]
    fn one_is_given_for_a_second_and_gone_after_it() {
        let mut snapshots = Snapshots::default();
        let start = Instant::now();
        let seq = snapshots.next();
        snapshots.keep(Snapshot::empty(seq, Attach::Tcx), start);
        let given = |snapshots: &Snapshots, millis| {
            let recent = snapshots.recent(start + Duration::from_millis(millis));
            recent.map(|snapshot| snapshot.seq)
        };
        assert_eq!(given(&snapshots, 999), Some(1));
        assert_eq!(given(&snapshots, 1000), None);
        snapshots.forget(start + Duration::from_millis(999));
        assert!(snapshots.last.is_some());
        snapshots.forget(start + Duration::from_millis(1000));
        assert!(snapshots.last.is_none());
        assert_eq!(snapshots.next(), 2);
    }
}
