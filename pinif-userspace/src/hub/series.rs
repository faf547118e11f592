//! Counters by label, each of which only grows in a run: what a metrics system reads.

use std::collections::BTreeMap;

use pinif_ebpf::{
    sighting::Count,
    verdict::{CellVerdict, Kind, Severity},
};

pub use crate::kernel::fill::Fill;

/// What stands for all namespaces, zones, interfaces and rules that have no counter of their own.
pub const OTHER: &str = "other";

/// How many counters there are of each kind at most, beside those that stand for all others. All metrics together are at most 2,000.
pub const MOST_LEFT: usize = 200;
/// The same of what passed an interface.
pub const MOST_PASSED: usize = 985;
/// The same of what was dropped.
pub const MOST_DROPPED: usize = 60;
/// The same of findings.
pub const MOST_OPENED: usize = 100;

/// All counters of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// What left, each packet once.
    pub left: BTreeMap<Left, Count>,
    /// What left by each interface: a packet counts at each of those on top of each other that it passed.
    pub passed: BTreeMap<Passed, Count>,
    /// What was dropped, and did not leave, or did not come in.
    pub dropped: BTreeMap<Dropped, Count>,
    /// How many findings were reported as new.
    pub opened: BTreeMap<Opened, u64>,
}

/// What a packet that left is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// The name of the network namespace.
    pub netns: String,
    /// The names of the zones that the interface is in, with commas; empty where it is in none.
    pub zone: String,
    /// What was found.
    pub verdict: CellVerdict,
}

/// What a packet that passed an interface is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passed {
    /// The name of the network namespace.
    pub netns: String,
    /// The interface that its sender is bound to; empty where it is bound to none.
    pub bound_device: String,
    /// The interface.
    pub egress_interface: String,
    /// What was found.
    pub verdict: CellVerdict,
}

/// What a packet that was dropped is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dropped {
    /// The name of the network namespace.
    pub netns: String,
    /// Why.
    pub kind: Kind,
}

/// What a finding is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opened {
    /// Its kind.
    pub kind: Kind,
    /// How grave it is.
    pub severity: Severity,
    /// The name of the rule that is broken; empty where it is of none.
    pub rule: String,
}
