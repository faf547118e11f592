//! The state of an audit at one moment, in one piece.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::Severity;

use crate::findings::finding::Finding;
use crate::findings::ready::Attach;
use crate::findings::summary::Cell;

/// The state of an audit. The collector makes one at most once a second, and only for subscribers that want it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When the counts begin: with `--persist`, when the first collector started.
    pub started: SystemTime,
    /// How the programs are attached.
    pub attach: Attach,
    /// The interfaces that are audited, and those that cannot be.
    pub interfaces: Vec<Interface>,
    /// The policy in force.
    pub policy: PolicyState,
    /// Whether leaks are dropped.
    pub enforces: bool,
    /// Who sent how much by which interface, so far.
    pub matrix: Vec<Cell>,
    /// What could not be counted so far.
    pub losses: Vec<(Loss, u64)>,
    /// How many findings there are of each severity.
    pub findings: BTreeMap<Severity, u64>,
    /// The gravest findings, those with the most packets first; at most [`WORST`].
    pub worst: Vec<Arc<Finding>>,
}

/// How many of the gravest findings a snapshot has at most.
pub const WORST: usize = 5;

/// An interface, and whether it is audited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// The name of its network namespace.
    pub netns: String,
    /// Its name.
    pub name: String,
    /// Why it is not audited; nothing, where it is.
    pub refused: Option<String>,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyState {
    /// How many zones it has.
    pub zones: usize,
    /// How many rules it has.
    pub rules: usize,
    /// The last reload failed, and this policy stayed in force.
    pub reload_failed: bool,
}
