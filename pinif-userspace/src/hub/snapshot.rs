//! The state of an audit at one moment, in one piece.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use pinif_ebpf::{
    loss::Loss,
    verdict::{Kind, Severity},
};

use super::series::{Fill, Series};
use crate::{
    capture::CaptureState,
    findings::{alert_state::AlertState, listed::Listed, ready::Attach, summary::GradedCell},
    host::identity::Identity,
    policy::{PolicyFile, described::Described},
};

/// The state of an audit. The collector makes one at most once a second, and only for those that want it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its number: each is newer than those with smaller ones, of the same run.
    pub seq: u64,
    /// Which machine it is of, which boot of it, and which run.
    pub identity: Identity,
    /// When it was made.
    pub time: SystemTime,
    /// When the counts begin: with `--persist`, when the first collector started.
    pub started: SystemTime,
    /// The same on `CLOCK_MONOTONIC`. With the boot, it is what the counts are known by: collectors that go on with them have the same.
    pub counts_began: Duration,
    /// Whether all interfaces are attached: until then, more are to be.
    pub is_ready: bool,
    /// How the programs are attached.
    pub attach: Attach,
    /// The interfaces that are audited, and those that cannot be.
    pub interfaces: Vec<Interface>,
    /// The policy in force.
    pub policy: PolicyState,
    /// Why it is looked every two seconds whether all is still attached; empty where whatever removes something is reported.
    pub unreported: Vec<String>,
    /// Whether leaks are dropped.
    pub enforces: bool,
    /// Whether they were to be.
    pub enforcement_asked: bool,
    /// The counters of metrics.
    pub series: Series,
    /// How full the kernel's tables are.
    pub fills: Vec<Fill>,
    /// Who sent how much by which interface, so far.
    pub matrix: Vec<GradedCell>,
    /// What was captured, where anything is; what was lost before it came to the file, too.
    pub capture: Option<CaptureState>,
    /// What could not be counted so far.
    pub losses: Vec<(Loss, u64)>,
    /// How many findings there are of each severity, kind and state.
    pub findings: BTreeMap<(Severity, Kind, AlertState), u64>,
    /// The gravest findings, those with the most packets first; at most [`WORST`].
    pub worst: Vec<Listed>,
}

impl Snapshot {
    /// One of an audit of nothing, for tests.
    #[cfg(test)]
    pub(crate) fn empty(seq: u64, attach: Attach) -> Self {
        let then = SystemTime::UNIX_EPOCH;
        Self {
            seq,
            identity: Identity::default(),
            time: then,
            started: then,
            counts_began: Duration::ZERO,
            is_ready: true,
            attach,
            interfaces: Vec::new(),
            policy: PolicyState {
                file: None,
                loaded: then,
                described: Described::default(),
                failure: None,
            },
            unreported: Vec::new(),
            enforces: false,
            enforcement_asked: false,
            series: Series::default(),
            fills: Vec::new(),
            matrix: Vec::new(),
            capture: None,
            losses: Vec::new(),
            findings: BTreeMap::new(),
            worst: Vec::new(),
        }
    }

    /// How many findings there are of each severity.
    pub fn by_severity(&self) -> BTreeMap<Severity, u64> {
        let mut all = BTreeMap::new();
        for ((severity, ..), number) in &self.findings {
            *all.entry(*severity).or_default() += number;
        }
        all
    }

    /// Whether some packets could not be counted.
    pub fn loses_counts(&self) -> bool {
        self.losses.iter().any(|(loss, _)| loss.loses_counts())
    }
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
    /// The file that it was read from, where it was.
    pub file: Option<PolicyFile>,
    /// Since when it is in force in this run.
    pub loaded: SystemTime,
    /// What it says.
    pub described: Described,
    /// What was wrong with a newer one, while this one stayed in force; nothing, where the last reload came to its end.
    pub failure: Option<Vec<String>>,
}
