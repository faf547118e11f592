//! The counters of metrics: what was counted goes to the labels that it has when it is read, and stays there. So none of them ever
//! goes down in a run, whatever is renamed, moved to another zone or counted under an index that another had before.
//!
//! Nothing is read here, and nothing is kept until somebody asks for the first time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use pinif_ebpf::{
    sighting::{CellKey, Count},
    verdict::{self, CellVerdict, Kind},
};

use crate::{
    findings::finding::{Finding, FindingId},
    hub::series::{
        Dropped, Left, MOST_DROPPED, MOST_LEFT, MOST_OPENED, MOST_PASSED, OTHER, Opened, Passed,
        Series,
    },
};

/// What packets are counted under, in the names of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) netns: String,
    pub(super) zone: String,
    pub(super) bound_device: String,
    pub(super) egress_interface: String,
    pub(super) verdict: CellVerdict,
    pub(super) carried: bool,
    pub(super) dropped: bool,
}

/// The counters, and how far those of the kernel are in them.
#[derive(Debug, Default)]
pub(super) struct Growing {
    series: Series,
    /// What of each cell is counted here. Nothing, until somebody asks.
    taken: Option<HashMap<CellKey, Count>>,
    /// Findings that a previous instance has counted.
    counted: HashSet<FindingId>,
}

impl Growing {
    /// Whether somebody has asked.
    pub(super) fn is_asked_for(&self) -> bool {
        self.taken.is_some()
    }

    /// Begins with what was archived before: what it is, and how far it goes in each cell.
    pub(super) fn begin(
        &mut self,
        archived: impl IntoIterator<Item = (Labels, Count)>,
        taken: impl IntoIterator<Item = (CellKey, Count)>,
    ) {
        self.taken = Some(taken.into_iter().collect());
        for (labels, count) in sorted(archived.into_iter().collect()) {
            self.add(labels, count);
        }
    }

    /// Takes the cells as they are now.
    pub(super) fn grown(
        &mut self,
        cells: &[(CellKey, Count)],
        labels: impl Fn(&CellKey) -> Labels,
    ) {
        let Some(taken) = &mut self.taken else { return };
        let mut grown = Vec::new();
        for (key, now) in cells {
            let before = taken.entry(*key).or_default();
            let count = Count {
                packets: now.packets.saturating_sub(before.packets),
                bytes: now.bytes.saturating_sub(before.bytes),
            };
            if count != Count::default() {
                *before = *now;
                grown.push((labels(key), count));
            }
        }
        for (labels, count) in sorted(grown) {
            self.add(labels, count);
        }
    }

    /// Has a counter of what is dropped in each of these namespaces, though nothing was yet: the first one is seen to come.
    pub(super) fn may_drop<'a>(&mut self, namespaces: impl IntoIterator<Item = &'a str>) {
        for netns in namespaces.into_iter().collect::<BTreeSet<_>>() {
            for kind in Kind::ALL {
                if kind.row().dropped != verdict::Dropped::Never {
                    let netns = netns.to_owned();
                    foresee(
                        &mut self.series.dropped,
                        Dropped { netns, kind },
                        MOST_DROPPED,
                    );
                }
            }
        }
    }

    /// Has a counter of the findings of each of these rules, though there is none yet.
    pub(super) fn may_break<'a>(&mut self, rules: impl IntoIterator<Item = &'a str>) {
        for rule in rules {
            for kind in Kind::ALL.into_iter().filter(|kind| kind.row().is_of_rule) {
                let opened = Opened {
                    kind,
                    severity: kind.row().severity,
                    rule: rule.to_owned(),
                };
                foresee(&mut self.series.opened, opened, MOST_OPENED);
            }
        }
    }

    /// Takes a finding that a previous instance has reported.
    pub(super) fn was_opened(&mut self, id: FindingId, opened: Opened) {
        if self.counted.insert(id) {
            self.count_opened(opened);
        }
    }

    /// Takes a finding that is reported as new.
    pub(super) fn opened(&mut self, finding: &Finding) {
        if !self.counted.remove(&finding.id) {
            self.count_opened(Opened {
                kind: finding.kind,
                severity: finding.severity,
                rule: finding.rule().unwrap_or_default().to_owned(),
            });
        }
    }

    fn count_opened(&mut self, opened: Opened) {
        let others = |opened| Opened {
            rule: OTHER.to_owned(),
            ..opened
        };
        // A finding of no rule stands for no other, and there are few of them.
        let most = if opened.rule.is_empty() {
            usize::MAX
        } else {
            MOST_OPENED
        };
        *counter(&mut self.series.opened, opened, most, others) += 1;
    }

    /// All of them.
    pub(super) fn series(&self) -> &Series {
        &self.series
    }

    fn add(&mut self, labels: Labels, count: Count) {
        let Labels {
            netns,
            zone,
            bound_device,
            egress_interface,
            verdict,
            carried,
            dropped,
        } = labels;
        if dropped {
            if let Some(kind) = verdict.kind() {
                let others = |dropped| Dropped {
                    netns: OTHER.to_owned(),
                    ..dropped
                };
                let dropped = Dropped { netns, kind };
                *counter(&mut self.series.dropped, dropped, MOST_DROPPED, others) += count;
            }
            return;
        }
        let others = |passed: Passed| Passed {
            netns: OTHER.to_owned(),
            bound_device: OTHER.to_owned(),
            egress_interface: OTHER.to_owned(),
            ..passed
        };
        let passed = Passed {
            netns: netns.clone(),
            bound_device,
            egress_interface,
            verdict,
        };
        *counter(&mut self.series.passed, passed, MOST_PASSED, others) += count;
        if !carried {
            let others = |left| Left {
                netns: OTHER.to_owned(),
                zone: OTHER.to_owned(),
                ..left
            };
            let left = Left {
                netns,
                zone,
                verdict,
            };
            *counter(&mut self.series.left, left, MOST_LEFT, others) += count;
        }
    }
}

/// What was found first, and then what is most: these have counters of their own where not all have.
fn sorted(mut grown: Vec<(Labels, Count)>) -> Vec<(Labels, Count)> {
    grown.sort_by_key(|(labels, count)| Reverse((labels.verdict.kind().is_some(), count.packets)));
    grown
}

/// The counter of a key: its own, where it has one or there is room for it.
fn counter<K: Ord, V: Default>(
    all: &mut BTreeMap<K, V>,
    key: K,
    most: usize,
    others: impl FnOnce(K) -> K,
) -> &mut V {
    let has_own = all.len() < most || all.contains_key(&key);
    let key = if has_own { key } else { others(key) };
    all.entry(key).or_default()
}

/// Has a counter that is zero, where there is room for it.
fn foresee<K: Ord, V: Default>(all: &mut BTreeMap<K, V>, key: K, most: usize) {
    if all.len() < most {
        all.entry(key).or_default();
    }
}

#[cfg(test)]
mod tests;
