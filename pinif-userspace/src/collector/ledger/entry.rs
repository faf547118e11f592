//! A finding in the ledger, and what is still to be reported of it.

use std::{mem, sync::Arc, time::Duration};

use crate::{
    collector::moment::Moment,
    findings::{accepted::Accepted, alert_state::AlertState, finding::Finding},
    hub::Change,
};

/// How many samples a finding has of what was seen first: a process, a socket, a destination.
const OF_THE_FIRST: u8 = 3;

/// What the ledger keeps of a finding.
#[derive(Debug)]
pub(super) struct Entry<K> {
    pub(super) key: K,
    pub(super) finding: Finding,
    /// It cannot grow any more, and another may have its key.
    pub(super) is_closed: bool,
    /// No packet of it was seen for a time.
    pub(super) is_quiet: bool,
    /// Whoever is reported to takes it for a finding of its own.
    pub(super) is_shown: bool,
    pub(super) shown_at: Micros,
    /// When it was last seen.
    pub(super) seen_at: Micros,
    pub(super) waits: bool,
    /// How many samples it has had.
    pub(super) samples: u8,
    /// What is new since it was shown.
    pub(super) change: Change,
}

/// Whether a finding may have more packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It has what it has seen with it.
    Over,
    /// What it has seen is known to whoever counts.
    GoesOn,
}

/// A finding that is to be reported again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<K> {
    /// Its key; none where it is closed, and another may have the key.
    pub key: Option<K>,
    /// The finding. What it has seen is known to whoever counts, unless it is closed.
    pub finding: Finding,
    /// When it was last seen, of `CLOCK_MONOTONIC`.
    pub seen_at: Duration,
    /// What is new of it.
    pub change: Change,
}

/// Microseconds of `CLOCK_MONOTONIC`.
pub(super) type Micros = u64;

/// So much time in microseconds.
pub(super) fn micros(time: Duration) -> Micros {
    time.as_micros() as Micros
}

impl<K> Entry<K> {
    /// Of a finding that is shown now, and was last seen then.
    pub(super) fn new(
        key: K,
        finding: Finding,
        is_quiet: bool,
        shown_at: Micros,
        seen_at: Micros,
    ) -> Self {
        Self {
            key,
            finding,
            is_closed: false,
            is_quiet,
            is_shown: true,
            shown_at,
            seen_at,
            waits: false,
            samples: OF_THE_FIRST,
            change: Change::Grew,
        }
    }

    /// Takes that more of it was seen. Whether it was quiet, and is open again.
    pub(super) fn seen(&mut self, now: Moment) -> bool {
        self.seen_at = micros(now.monotonic);
        self.finding.last_seen = now.wall.into();
        let was_quiet = mem::replace(&mut self.is_quiet, false);
        self.update_state();
        was_quiet
    }

    /// Whether it may have more packets.
    pub(super) fn growth(&self) -> Growth {
        if self.is_closed {
            Growth::Over
        } else {
            Growth::GoesOn
        }
    }

    /// Takes what the policy says of it. Whether that is new.
    pub(super) fn accept(&mut self, accepted: Option<Arc<Accepted>>) -> bool {
        let is_new = self.finding.accepted != accepted;
        if is_new {
            self.finding.accepted = accepted;
            self.change = self.change.max(Change::Refined);
            self.update_state();
        }
        is_new
    }

    /// Takes what its state follows from. Whether it is another by that.
    pub(super) fn update_state(&mut self) -> bool {
        let state = state(&self.finding, self.is_quiet);
        let is_another = state != self.finding.state;
        if is_another {
            self.finding.state = state;
            self.change = self.change.max(Change::StateChanged);
        }
        is_another
    }

    /// It is reported now, or would be: what is new of it. Nothing to report of what is named in another, and is no finding of its own to
    /// whoever is reported to.
    pub(super) fn report(&mut self, now: Micros, is_part: bool) -> Option<Change> {
        self.waits = false;
        self.shown_at = now;
        let change = mem::replace(&mut self.change, Change::Grew);
        let was_shown = mem::replace(&mut self.is_shown, !is_part);
        let change = match (is_part, was_shown) {
            (true, false) => return None,
            (true, true) => Change::Refined,
            (false, true) => change,
            (false, false) => Change::Opened,
        };
        self.finding.revision = self.finding.revision.saturating_add(1);
        Some(change)
    }
}

/// The state of a finding: what is accepted alerts nobody, whether it goes on or not.
pub(super) fn state(finding: &Finding, is_quiet: bool) -> AlertState {
    let accepted = finding.accepted.as_ref();
    if accepted.is_some_and(|accepted| !accepted.expired) {
        AlertState::Accepted
    } else if is_quiet {
        AlertState::Quiet
    } else {
        AlertState::Open
    }
}
