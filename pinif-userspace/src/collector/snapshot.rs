//! The state of the audit in one piece: made for subscribers that want it, and for whoever asks, at most once a second.

#[cfg(test)]
pub(crate) mod example;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Result;
use pinif_ebpf::{
    loss::Loss,
    verdict::{Kind, Severity},
};

use super::{
    audit::{Audit, Beginning},
    ledger::{Ledger, Place},
    timer::TOGETHER,
};
use crate::{
    findings::{
        alert_state::AlertState,
        finding::Finding,
        ready::PolicySize,
        summary::{Cell, GradedCell},
    },
    hub::snapshot::{PolicyState, Snapshot, WORST},
    policy::described::Described,
};

impl Audit {
    /// How much the policy in force says.
    pub(super) fn policy_size(&self) -> Option<PolicySize> {
        let policy = self.policies.values().next_back()?;
        PolicySize::of(policy.zones.len(), policy.rules.len())
    }

    /// Publishes a snapshot, if a subscriber wants one by now. `losses` is what could not be counted so far.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn publish_snapshot(&mut self, losses: Vec<(Loss, u64)>) -> Result<()> {
        let now = Instant::now();
        self.snapshots.forget(now);
        let due = self.hub.snapshot_due(now);
        if due.is_none_or(|due| due > now + TOGETHER) {
            return Ok(());
        }
        let snapshot = self.snapshot(losses)?;
        self.hub.publish_snapshot(&snapshot);
        Ok(())
    }

    /// A snapshot for somebody who asks: the last one, where that is recent.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn recent_snapshot(&mut self) -> Result<Arc<Snapshot>> {
        match self.snapshots.recent(Instant::now()) {
            Some(snapshot) => Ok(snapshot),
            None => {
                let losses = self.counters.losses()?;
                self.snapshot(losses)
            }
        }
    }

    fn snapshot(&mut self, losses: Vec<(Loss, u64)>) -> Result<Arc<Snapshot>> {
        let cells = self.counters.cells()?;
        self.count(&cells);
        let worst = most_severe(&self.ledger, WORST);
        let worst = worst.into_iter().map(|place| self.listed(place)).collect();
        let snapshot = Snapshot {
            seq: self.snapshots.next(),
            identity: self.identity.clone(),
            time: SystemTime::now(),
            started: self.began,
            counts_began: self.counts_began,
            is_ready: self.beginning == Beginning::Over,
            attach: self.following.mode.into(),
            interfaces: self.attachments.all(|netns| self.names.namespace(netns)),
            policy: self.policy_state(),
            unreported: self.unreported(),
            enforces: self.enforcement.is_on(),
            enforcement_asked: self.enforcement.is_asked(),
            series: self.growing.series().clone(),
            fills: self.fills(cells.len()),
            matrix: graded(self.totals.matrix(&cells, &self.names), &self.ledger),
            capture: self.capture_state(&losses),
            losses,
            findings: by_kind(&self.ledger),
            worst,
        };
        Ok(self.snapshots.keep(snapshot, Instant::now()))
    }

    fn policy_state(&self) -> PolicyState {
        let policy = self.policies.values().next_back();
        PolicyState {
            file: policy.and_then(|policy| policy.file.clone()),
            loaded: self.policy_loaded,
            described: policy.map(Described::of).unwrap_or_default(),
            failure: self.reload_failure.clone(),
        }
    }
}

/// How many findings of each severity, kind and state there are.
fn by_kind<K: Clone + Eq + Hash>(
    ledger: &Ledger<K>,
) -> BTreeMap<(Severity, Kind, AlertState), u64> {
    let mut counts = BTreeMap::new();
    for (_, finding) in ledger.own() {
        let class = (finding.severity, finding.kind, finding.state);
        *counts.entry(class).or_default() += 1;
    }
    counts
}

/// The places of the most severe findings, at most so many, those with the most packets first.
fn most_severe<K: Clone + Eq + Hash>(ledger: &Ledger<K>, most: usize) -> Vec<Place> {
    let rank = |(_, finding): &(Place, &Finding)| Reverse((finding.severity, finding.packets));
    let mut all: Vec<(Place, &Finding)> = ledger.own().collect();
    if most < all.len() {
        all.select_nth_unstable_by_key(most, rank);
        all.truncate(most);
    }
    all.sort_by_key(rank);
    all.into_iter().map(|(place, _)| place).collect()
}

/// The cells, each as grave as the gravest finding in it. Only findings whose severity is not their kind's usual one are looked at
/// by their places.
fn graded<K: Clone + Eq + Hash>(cells: Vec<Cell>, ledger: &Ledger<K>) -> Vec<GradedCell> {
    let mut unusual: HashMap<CellOf<'_>, Severity> = HashMap::new();
    // What is named in another finding is in a cell as well.
    for finding in ledger.all() {
        if finding.kind.row().varies {
            let severity = unusual
                .entry(CellOf::of(finding))
                .or_insert(finding.severity);
            *severity = finding.severity.max(*severity);
        }
    }
    cells
        .into_iter()
        .map(|cell| {
            let severity = cell.verdict.kind().map(|kind| {
                let known = unusual.get(&CellOf::cell(&cell, kind));
                known.copied().unwrap_or(kind.row().severity)
            });
            GradedCell { cell, severity }
        })
        .collect()
}

/// Where a finding's packets are counted in the matrix.
#[derive(PartialEq, Eq, Hash)]
struct CellOf<'a> {
    netns: &'a str,
    bound_device: Option<&'a str>,
    egress_interface: &'a str,
    kind: Kind,
    dropped: bool,
}

impl<'a> CellOf<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            netns: finding.netns(),
            bound_device: finding.bound_device(),
            egress_interface: finding.egress_interface(),
            kind: finding.kind,
            dropped: finding.dropped,
        }
    }

    fn cell(cell: &'a Cell, kind: Kind) -> Self {
        Self {
            netns: &cell.netns,
            bound_device: cell.bound_device.as_deref(),
            egress_interface: &cell.egress_interface,
            kind,
            dropped: cell.dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pinif_ebpf::verdict::CellVerdict;

    use super::*;
    use crate::{collector::moment::Moment, findings::example, findings::finding::SentBy};

    #[test]
    fn a_cell_is_as_grave_as_what_is_in_it_be_it_named_in_another_finding() {
        let mut ledger: Ledger<u64> = Ledger::new(Duration::from_secs(300), 0);
        let now = Moment::now();
        let part = Finding {
            kind: Kind::AddressEscape,
            severity: Severity::Leak,
            ..example::finding(2)
        };
        let cell = Cell {
            netns: part.netns().to_owned(),
            bound_device: part.bound_device().map(str::to_owned),
            egress_interface: part.egress_interface().to_owned(),
            packets: 1,
            bytes: 60,
            verdict: CellVerdict::from_number(Kind::AddressEscape as u8),
            origin: SentBy::Socket,
            carried: false,
            dropped: false,
        };
        ledger.sighted(1, example::finding(1), now, now.monotonic);
        let severity = |ledger: &Ledger<u64>| graded(vec![cell.clone()], ledger)[0].severity;
        assert_eq!(severity(&ledger), Some(Severity::Risk), "as usual");
        ledger.sighted(2, part, now, now.monotonic);
        assert_eq!(severity(&ledger), Some(Severity::Leak));
        ledger.relate(1, Some(0));
        assert_eq!(severity(&ledger), Some(Severity::Leak));
    }
}
