//! Between the parts and what is pinned: what a previous instance has left is read and taken over, and what the next one is to know
//! is written.
//!
//! The programs go on all the while, by what the maps say. So nothing is taken away before what is new is there: hooks are
//! replaced in one step each, the policy in force stays so until the next one is written, and what is not true any more is
//! swept last.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
};

use super::{
    audit::{Audit, When},
    names::{self, Names},
    takeover::{Input, Output, Previous},
    totals::{self, Totals},
};
use crate::{
    collector::{key::Key, moment::Moment},
    findings::{decode::decode, enrich, samples::Samples},
    hub::{Change, Event},
    kernel::{
        counters::Counters,
        persist::{ArchivedFinding, Persist},
    },
};

/// Reads what a previous instance has left, if there was one.
///
/// # Errors
///
/// When the counters cannot be read.
pub(super) fn previous(persist: Option<&Persist>, counters: &Counters) -> Result<Option<Previous>> {
    let Some(persist) = persist.filter(|persist| persist.takes_over()) else {
        return Ok(None);
    };
    let mut counted = BTreeSet::new();
    for (key, _) in counters.cells()? {
        counted.extend([(key.netns, key.egress), (key.netns, key.bound)]);
    }
    // What arrives is in no cell.
    let mut findings = 0;
    let mut batches = counters.findings()?;
    while let Some(batch) = batches
        .next()
        .context("the findings cannot be read from their map")?
    {
        for (key, _) in batch {
            counted.extend([(key.netns, key.egress), (key.netns, key.bound)]);
            findings += 1;
        }
    }
    let namespaces = persist.namespaces().into_iter();
    Ok(Some(Previous {
        age: persist.age(),
        namespaces: namespaces.map(|(netns, _)| netns).collect(),
        counted,
        findings,
        archived: persist.archived_findings(),
    }))
}

/// The names that previous instances knew.
pub(super) fn names(persist: Option<&Persist>) -> Names {
    persist.map_or_else(Names::default, |persist| {
        Names::new(persist.namespaces(), persist.interfaces())
    })
}

/// What previous instances have counted for interfaces whose indexes others have had since.
pub(super) fn totals(persist: Option<&Persist>, names: &Names) -> Totals {
    let mut totals = Totals::default();
    for cell in persist.iter().flat_map(|it| it.archived_cells()) {
        totals.on(totals::Input::Archived(cell), names);
    }
    totals
}

impl Audit {
    /// Learns which of a namespace's interfaces are those that a previous instance knew, before they are attached to.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub(super) fn recognize(
        &mut self,
        netns: NetNsCookie,
        present: &[(IfIndex, String)],
    ) -> Result<()> {
        let adopted = if self.takeover.awaits(netns) {
            self.namespaces[&netns].hooks.left_at(present)?
        } else {
            BTreeSet::new()
        };
        self.on_takeover(Input::Namespace {
            netns,
            present: present.iter().map(|(index, _)| *index).collect(),
            known: self.names.present(netns),
            adopted,
        })
    }

    /// Reports the interfaces of a namespace that no instance has audited until now.
    pub(super) fn recognized(
        &mut self,
        netns: NetNsCookie,
        present: Vec<(IfIndex, String)>,
    ) -> Result<()> {
        let mut interfaces = present;
        let hooks = &self.namespaces[&netns].hooks;
        interfaces.retain(|(index, _)| hooks.has(*index));
        self.on_takeover(Input::Attached { netns, interfaces })
    }

    /// All stays from now on; and what previous instances have found is reported once more.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn settle(&mut self) -> Result<()> {
        if let Some(persist) = &self.persist {
            persist.keep();
        }
        self.on_takeover(Input::Ready)
    }

    fn on_takeover(&mut self, input: Input) -> Result<()> {
        for output in self.takeover.on(input, Instant::now()) {
            match output {
                Output::Gone(netns, index) => {
                    self.on_name(netns, names::Input::Gone(index));
                }
                Output::Archived(archived) => self.report_archived(&archived),
                Output::ReadFindings => {
                    self.counts = true;
                    self.read_findings(When::RateLimited)?;
                }
                Output::Event(event) => self.hub.publish(event),
            }
        }
        Ok(())
    }

    fn report_archived(&mut self, archived: &ArchivedFinding) {
        let ArchivedFinding { key, value, .. } = archived;
        // An instance that was killed in the midst of archiving has left the counter, which is archived anew.
        let has_counter = self.names.predecessors(key.netns, key.egress) == archived.predecessors
            && self.counters.finding(key).is_some();
        let Some(sighted) = decode(key, &value.sighting).filter(|_| !has_counter) else {
            return;
        };
        let process = enrich::process(&sighted);
        let finding = self.describe(key, &sighted, process, value.count, Some(archived));
        let now = Moment::now();
        let Some(mut finding) = finding else {
            return;
        };
        let seen = self.last_seen(&finding, &sighted, now);
        let samples = Samples::of(&value.samples);
        finding.samples = Some(Arc::new(samples.clone()));
        finding.accepted = self.accepted_for_good(&Key::Counted(*key), &finding);
        let key = Key::Counted(*key);
        let sighted = self
            .ledger
            .sighted(key.clone(), finding, seen, now.monotonic);
        if let Some(finding) = sighted {
            self.ledger.close(&key, samples);
            self.growing.opened(&finding);
            let finding = Arc::new(finding);
            self.hub.publish(Event::Finding(finding, Change::Opened));
        }
    }

    /// Takes away what a previous instance had attached, or published, and is not wanted any more.
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
        if self.learning.is_none() {
            persist.forget_learned();
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

    /// Gives the names an input, and writes what the next instance is to know of it. Whether an interface was renamed.
    pub(super) fn on_name(&mut self, netns: NetNsCookie, input: names::Input<'_>) -> bool {
        let mut is_renamed = false;
        for output in self.names.on(netns, input) {
            match (output, &self.persist) {
                (names::Output::Renamed, _) => is_renamed = true,
                (names::Output::RememberNamespace(netns, name), Some(persist)) => {
                    persist.remember_namespace(netns, &name);
                }
                (names::Output::RememberInterface(interface), Some(persist)) => {
                    persist.remember_interface(&interface);
                }
                (
                    names::Output::RememberNamespace(..) | names::Output::RememberInterface(_),
                    None,
                ) => {}
            }
        }
        is_renamed
    }

    /// Archives a finding for the next instance, before its counter is removed.
    pub(super) fn archive_finding(&self, key: &FindingKey) {
        if let (Some(persist), Some(value)) = (&self.persist, self.counters.finding(key)) {
            persist.archive_finding(&ArchivedFinding {
                key: *key,
                value,
                predecessors: self.names.predecessors(key.netns, key.egress),
                names: self.names.of_counter(key.netns, key.egress, key.bound),
            });
        }
    }

    /// Archives the counters of an interface whose index is about to be another's, also for the next instance.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn archive_cells(&mut self, netns: NetNsCookie, index: IfIndex) -> Result<()> {
        let cells = self.counters.cells()?;
        if self.growing.is_asked_for() {
            // Under the names that are about to be another's.
            self.count(&cells);
        }
        let reused = totals::Input::Reused {
            netns,
            index,
            cells,
        };
        for cell in self.totals.on(reused, &self.names) {
            if let Some(persist) = &self.persist {
                persist.archive_cell(&cell);
            }
        }
        Ok(())
    }
}
