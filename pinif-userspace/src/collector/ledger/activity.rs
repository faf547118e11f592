//! Which findings are seen, and from when on they are quiet: when no packet of them was seen for a time.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{
    entry::{Micros, micros},
    wholes::Place,
};

/// The findings that are not quiet, and may become so.
#[derive(Debug)]
pub(super) struct Activity {
    /// Each once, with a time before which it is not quiet.
    active: BinaryHeap<Reverse<(Micros, Place)>>,
    quiet_after: Micros,
}

impl Activity {
    /// A finding is quiet after this time.
    pub(super) fn new(quiet_after: Duration) -> Self {
        Self {
            active: BinaryHeap::new(),
            quiet_after: micros(quiet_after),
        }
    }

    /// Takes a finding that was last seen then. Whether it is quiet by now.
    pub(super) fn begin(&mut self, place: Place, seen_at: Micros, now: Micros) -> bool {
        let quiet_at = seen_at.saturating_add(self.quiet_after);
        let is_quiet = quiet_at <= now;
        if !is_quiet {
            self.active.push(Reverse((quiet_at, place)));
        }
        is_quiet
    }

    /// A time before which no other finding is quiet; none, where all are.
    pub(super) fn due(&self) -> Option<Micros> {
        let Reverse((at, _)) = self.active.peek()?;
        Some(*at)
    }

    /// The next finding that is quiet by now; `seen_at` is when one was last seen.
    pub(super) fn next_quiet(
        &mut self,
        now: Micros,
        seen_at: impl Fn(Place) -> Micros,
    ) -> Option<Place> {
        while let Some(&Reverse((at, place))) = self.active.peek()
            && at <= now
        {
            self.active.pop();
            if self.begin(place, seen_at(place), now) {
                return Some(place);
            }
        }
        None
    }
}
