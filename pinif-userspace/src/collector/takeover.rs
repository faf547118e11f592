//! The lives of collectors that attend to one auditor one after another: what an earlier one has left is taken over.
//!
//! The programs go on all the while, by what the maps say. So nothing is taken away before what is new is there: hooks are
//! replaced in one step each, the policy in force stays so until the next one is written, and what is not true any more is
//! swept last.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use anyhow::{Result, bail};
use pinif_ebpf::{
    enforce::until,
    key::{IfIndex, NetNsCookie},
    sighting::{CellKey, Count, FindingKey},
};

use super::{
    audit::{Audit, When},
    following::Following,
    totals::{Past, Place},
};
use crate::{
    collector::ledger::Key,
    findings::{decode::decode, enrich, samples::Samples},
    host::{netns::NetNs, network::Network},
    hub::{Change, Event, Notice},
    kernel::{
        attach::foreign_instance,
        persist::{self, ClosedCell, ClosedFinding, Persist},
        publish::{Publisher, Unresolved},
    },
    policy::Policy,
};

/// What earlier lives have counted for interfaces whose indexes others have had since.
pub(super) fn past(persist: Option<&Persist>, following: &Following) -> Past {
    let mut past = Past::default();
    for ClosedCell { key, total, names } in persist.iter().flat_map(|it| it.closed_cells()) {
        let name = |index| names.of(index, key.egress, key.bound).unwrap_or_default();
        past.keep(&[(key, total)], |key| {
            Place::of(key, &|netns| following.name(netns), &|_, index| {
                name(index).to_owned()
            })
        });
    }
    past
}

/// Puts the first policy of this life into force. The networks are read before that: from the first packet on that it
/// judges, it knows their zones.
///
/// # Errors
///
/// When a table is full.
pub(super) fn put_into_force(
    publisher: &mut Publisher,
    policy: &Policy,
    persist: Option<&Persist>,
    namespaces: &[NetNs],
) -> Result<Vec<Unresolved>> {
    let Some(persist) = persist else {
        return publisher.policy(policy, &[]);
    };
    let mut networks = BTreeMap::new();
    if persist.takes_over() {
        persist.leave_all_but(|netns| namespaces.iter().any(|wanted| wanted.cookie == netns));
        for netns in namespaces {
            // One that cannot be read is told of when it is taken in.
            if let Ok(network) = Network::read(netns) {
                networks.insert(netns.cookie, network);
            }
        }
        if goes_on(publisher, policy, persist) {
            publisher.goes_on();
        }
    }
    note_next(publisher, policy, Some(persist))?;
    let networks: Vec<_> = networks
        .iter()
        .map(|(&netns, network)| (netns, network))
        .collect();
    publisher.policy(policy, &networks)
}

/// Whether an earlier life has put the same policy into force.
fn goes_on(publisher: &Publisher, policy: &Policy, persist: &Persist) -> bool {
    persist.has_policy(publisher.slot(), digest(policy))
}

/// Until when an earlier life has had this policy enforced. Another policy is another matter: what was confirmed of the one
/// was not of the other.
pub(super) fn enforced_until(
    publisher: &Publisher,
    policy: &Policy,
    persist: Option<&Persist>,
) -> u64 {
    match persist {
        Some(persist) if goes_on(publisher, policy, persist) => publisher.enforced_until(),
        _ => until::NEVER,
    }
}

/// Notes for later lives which policy will be in force next.
///
/// # Errors
///
/// When the kernel refuses.
pub(super) fn note_next(
    publisher: &Publisher,
    policy: &Policy,
    persist: Option<&Persist>,
) -> Result<()> {
    persist.map_or(Ok(()), |persist| {
        persist.note_policy(publisher.next_slot(), digest(policy))
    })
}

/// What a policy demands, wherever it was read from.
fn digest(policy: &Policy) -> u64 {
    persist::digest_of(&format!("{:?}{:?}", policy.zones, policy.rules))
}

/// Refuses a namespace to which another auditor is attached that persists: of packets that pass several interfaces, each
/// would write over the other's mark.
///
/// # Errors
///
/// That there is one, or that the namespace cannot be entered.
pub(super) fn refuse_strangers(netns: &NetNs, own: Option<&Persist>) -> Result<()> {
    let Some(interface) = foreign_instance(netns, own)? else {
        return Ok(());
    };
    let name = &netns.name;
    bail!(
        "a persistent auditor is attached in the network namespace {name} (to {interface}): take it over with \
         `pinif audit --persist`, or end it with `pinif detach`"
    );
}

impl Audit {
    /// Learns which of a namespace's interfaces are those that an earlier life knew, before they are met. Returns those that
    /// no collector had attached to until now.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub(super) fn recognize(
        &mut self,
        netns: NetNsCookie,
        there: &[(IfIndex, String)],
    ) -> Result<BTreeSet<IfIndex>> {
        if !self.earlier.namespaces.remove(&netns) {
            return Ok(BTreeSet::new());
        }
        let left = self.namespaces[&netns].hooks.left_at(there)?;
        let indexes: BTreeSet<IfIndex> = there.iter().map(|(index, _)| *index).collect();
        for index in self.names.there(netns) {
            let is_another =
                !left.contains(&index) && self.earlier.counted.contains(&(netns, index));
            if is_another || !indexes.contains(&index) {
                self.names.gone(netns, index);
            }
        }
        Ok(indexes.difference(&left).copied().collect())
    }

    /// Reports the interfaces of a namespace that no collector had attached to until now.
    pub(super) fn warn_of_late(&self, netns: NetNsCookie, late: &BTreeSet<IfIndex>) {
        let hooks = &self.namespaces[&netns].hooks;
        let names: Vec<String> = late
            .iter()
            .filter(|index| hooks.has(**index))
            .map(|index| self.names.of(netns, *index))
            .collect();
        if !names.is_empty() {
            self.hub.note(Notice::InterfacesCameLate { names });
        }
    }

    /// Takes away what an earlier life had attached, or published, and is not wanted any more.
    pub(super) fn sweep(&mut self) {
        let Some(persist) = &self.persist else {
            return;
        };
        persist.pins().retain(|pin| {
            let namespace = self.namespaces.get(&pin.netns);
            namespace.is_some_and(|namespace| namespace.hooks.holds(pin.interface, pin.direction))
        });
        if !persist.takes_over() {
            return;
        }
        let own = persist.owner();
        for namespace in self.namespaces.values() {
            namespace.hooks.remove_other_filters(&own);
        }
        for netns in self.publisher.namespaces() {
            if !self.namespaces.contains_key(&netns) {
                self.publisher.forget(netns);
            }
        }
    }

    /// When the first life began.
    pub(super) fn began(&self) -> Instant {
        let now = Instant::now();
        let persist = self.persist.as_ref();
        persist
            .filter(|persist| persist.takes_over())
            .and_then(|persist| now.checked_sub(persist.age()))
            .unwrap_or(now)
    }

    /// All stays from now on; and what earlier lives have found is told once more.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn settle(&mut self) -> Result<()> {
        let Some(persist) = self.persist.clone() else {
            return Ok(());
        };
        persist.keep();
        // Of namespaces that are gone, too.
        self.earlier.namespaces.clear();
        self.tell_closed(|_| true);
        if persist.takes_over() {
            self.counts = true;
            self.read_findings(When::RateLimited)?;
            self.hub.note(Notice::TookOver {
                age: persist.age(),
                findings: self.earlier.findings,
            });
        }
        Ok(())
    }

    /// Tells of the findings in some namespaces whose accounts earlier lives have closed.
    pub(super) fn tell_closed(&mut self, wanted: impl Fn(NetNsCookie) -> bool) {
        let (told, rest) = std::mem::take(&mut self.earlier.closed)
            .into_iter()
            .partition(|closed| wanted(closed.key.netns));
        self.earlier.closed = rest;
        let told: Vec<ClosedFinding> = told;
        for closed in told {
            let ClosedFinding { key, value, .. } = &closed;
            // One that was killed in the midst of closing has left the counter, which is closed anew.
            let is_open = self.names.predecessors(key.netns, key.egress) == closed.predecessors
                && self.counters.finding(key).is_some();
            let Some(sighted) = decode(key, &value.sighting).filter(|_| !is_open) else {
                continue;
            };
            let process = enrich::process(&sighted);
            let finding = self.describe(key, &sighted, process, value.count, Some(&closed));
            if let Some(finding) = finding
                && let Some(mut finding) =
                    self.ledger
                        .sighted(Key::Counted(*key), finding, self.started.elapsed())
            {
                let samples = Samples::of(&value.samples);
                self.ledger.close(&Key::Counted(*key), samples.clone());
                finding.samples = Some(Arc::new(samples));
                let finding = Arc::new(finding);
                self.hub.publish(Event::Finding(finding, Change::Opened));
            }
        }
    }

    /// Keeps a finding for the next life, before its account is closed.
    pub(super) fn keep_finding(&self, key: &FindingKey) {
        if let (Some(persist), Some(value)) = (&self.persist, self.counters.finding(key)) {
            persist.close_finding(&ClosedFinding {
                key: *key,
                value,
                predecessors: self.names.predecessors(key.netns, key.egress),
                names: self.names_of(key.netns, key.egress, key.bound),
            });
        }
    }

    /// Keeps cells for the next life, as they are when their accounts are closed.
    pub(super) fn keep_cells(&self, cells: &[(CellKey, Count)]) {
        for (key, total) in cells {
            if let Some(persist) = &self.persist {
                persist.close_cell(&ClosedCell {
                    key: *key,
                    total: *total,
                    names: self.names_of(key.netns, key.egress, key.bound),
                });
            }
        }
    }

    fn names_of(&self, netns: NetNsCookie, egress: IfIndex, bound: IfIndex) -> persist::Names {
        let name = |index: IfIndex| {
            let known = index.is_some().then(|| self.names.of(netns, index));
            known.unwrap_or_default()
        };
        persist::Names {
            egress: name(egress),
            bound: name(bound),
        }
    }
}
