//! What must come of a topology's senders, from what was built alone: which way each packet goes, what it is on each device that it
//! passes, and what the devices' drivers count. Nothing here is taken from pinif.

mod journey;
mod layers;
mod routing;
mod subflows;
mod verdict;

use std::collections::BTreeMap;

use super::topology::{Id, Sender, Topology};
pub use layers::reaches;
pub use routing::leaves;
pub use subflows::{
    Subflow, ends_late, is_made, keeps_answers_out, of_answers, of_packets, subflows,
};
pub use verdict::Subject;

/// What a rule allows, in the matrix.
const ALLOWED: &str = "allowed";

/// A row and a column of the matrix, and what became of it.
pub type Place = (Option<String>, String, String);

/// What distinguishes a finding from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: &'static str,
    pub severity: &'static str,
    pub rule: Option<String>,
    pub bound: Option<String>,
    pub egress: String,
    pub dropped: bool,
    pub subject: Subject,
}

/// What is expected of some senders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub cells: BTreeMap<Place, u64>,
    pub findings: BTreeMap<Key, u64>,
    /// What each device's driver sends.
    pub drivers: BTreeMap<String, u64>,
    /// Each packet once, on the first device that it leaves by, and each copy.
    pub total: u64,
}

impl Expected {
    pub fn add(&mut self, other: Self) {
        sum(&mut self.cells, other.cells);
        sum(&mut self.findings, other.findings);
        sum(&mut self.drivers, other.drivers);
        self.total += other.total;
    }
}

fn sum<K: Ord>(all: &mut BTreeMap<K, u64>, others: BTreeMap<K, u64>) {
    for (key, number) in others {
        *all.entry(key).or_default() += number;
    }
}

/// What is expected of a sender that sends so many packets, where the policy is enforced or not; nothing where the kernel refuses them.
pub fn expected(
    topology: &Topology,
    sender: &Sender,
    count: u64,
    enforced: bool,
) -> Option<Expected> {
    let by = leaves(topology, sender)?;
    Some(journey::walk(topology, sender, by, count, enforced))
}

/// Whether a connection breaks nothing, in both directions.
pub fn is_free(topology: &Topology, sender: &Sender) -> bool {
    let Some(expected) = expected(topology, sender, 1, false) else {
        return false;
    };
    let Some(by) = leaves(topology, sender) else {
        return false;
    };
    let is_allowed = |(_, _, verdict): &Place| verdict == ALLOWED;
    if expected.cells.keys().any(is_allowed) {
        return false;
    }
    let of_itself = |key: &Key| key.kind != "copy-escape" && key.subject == Subject::Program;
    let kinds: Vec<_> = expected
        .findings
        .keys()
        .filter(|key| of_itself(key))
        .collect();
    let leg: Vec<Id> = reaches(topology, by);
    kinds.is_empty()
        && std::iter::once(by)
            .chain(leg)
            .all(|id| verdict::admits(topology, sender, id))
}
