//! What the policy accepts is said of the findings: of each that is new, and of all where something of it has changed.

use std::{sync::Arc, time::SystemTime};

use anyhow::Result;
use pinif_ebpf::sighting::FindingState;

use super::{
    acceptance::Destinations, accepting::Accepting, audit::Audit, key::Key, ledger::Growth,
};
use crate::{
    findings::{accepted::Accepted, finding::Finding},
    hub::Notice,
    kernel::counters::Counters,
    policy::Policy,
};

impl Audit {
    /// Whether the policy accepts a finding that is new.
    pub(super) fn accepted(&self, key: &Key, finding: &Finding) -> Option<Arc<Accepted>> {
        let seen = || seen(&self.counters, key);
        self.accepting.judge(key, finding, seen)
    }

    /// The same of one that cannot grow any more, and has seen what is with it.
    pub(super) fn accepted_for_good(&self, key: &Key, finding: &Finding) -> Option<Arc<Accepted>> {
        let seen = || of_closed(finding);
        self.accepting.judge(key, finding, seen)
    }

    /// Takes a policy that is in force from now on.
    ///
    /// # Errors
    ///
    /// As of [`Accepting::by`].
    pub(super) fn accept_by(&mut self, policy: &Policy) -> Result<()> {
        self.accepting = Accepting::by(policy, &self.hub)?;
        self.judge_all();
        Ok(())
    }

    /// Says of all findings whether they are accepted now.
    pub(super) fn judge_all(&mut self) {
        let Self {
            ledger,
            accepting,
            counters,
            ..
        } = self;
        ledger.accept_each(|key, finding, growth| {
            accepting.judge(key, finding, || match growth {
                Growth::GoesOn => seen(counters, key),
                Growth::Over => of_closed(finding),
            })
        });
    }

    /// Takes what an accepted finding has seen by now: it may be more than is accepted.
    pub(super) fn judge_still(&mut self, key: &Key, state: &FindingState) {
        let Self {
            ledger, accepting, ..
        } = self;
        if accepting.acceptance.looks_at_destinations() {
            ledger.accept_still(key, |finding| {
                accepting.judge(key, finding, || Destinations::from(&state.samples))
            });
        }
    }

    /// Takes the time: what is over is reported, without a packet.
    pub(super) fn accept_in_time(&mut self, now: SystemTime) {
        let (over, is_other) = self.accepting.acceptance.on_time(now);
        for accept in over {
            self.hub.note(Notice::AcceptanceOver {
                place: accept.place.clone(),
                what: accept.described(),
                reason: accept.reason.clone(),
            });
        }
        if is_other {
            self.judge_all();
        }
    }

    /// Follows programs that are others by now under the same path.
    pub(super) fn follow_accepted_programs(&mut self) {
        if !self.accepting.programs.look_again().is_empty() {
            self.judge_all();
        }
    }
}

/// Where the packets of a finding went that is counted.
fn seen(counters: &Counters, key: &Key) -> Destinations {
    let state = match key {
        Key::Counted(key) => counters.finding(key),
        Key::Gap(_) => None,
    };
    let destinations = state.map(|state| Destinations::from(&state.samples));
    destinations.unwrap_or_default()
}

/// Where those of a closed one went.
fn of_closed(finding: &Finding) -> Destinations {
    let samples = finding.samples.as_deref();
    samples.map(Destinations::from).unwrap_or_default()
}
