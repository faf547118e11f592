//! What is to be written: of one audit, what is new of it.

use std::collections::BTreeMap;

use crate::findings::{
    line::FindingLine,
    summary::{Summary, Totals},
    wall_time::WallTime,
};

/// What the counts of an audit are known by. A restart of the auditor that goes on with them (`--persist`) has the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditId {
    /// The boot's UUID.
    pub boot: String,
    /// When the counts began, in nanoseconds of `CLOCK_MONOTONIC`.
    pub started_monotonic_ns: u64,
}

/// An audit, and its totals so far.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// Which it is.
    pub id: AuditId,
    /// The machine's id, where it has one.
    pub host: Option<String>,
    /// What the machine is called besides.
    pub labels: BTreeMap<String, String>,
    /// The auditor's version.
    pub version: String,
    /// The auditor's run.
    pub run: String,
    /// When the counts begin.
    pub started: WallTime,
    /// When this was so.
    pub heard: WallTime,
    /// What left, and what was dropped.
    pub totals: Totals,
    /// What could not be counted.
    pub uncounted: BTreeMap<String, u64>,
    /// It has ended, and these are its last totals.
    pub ended: bool,
}

impl AuditRecord {
    /// Whether this is the same run of the same audit. One that was taken over by a newer collector has several runs.
    pub fn is_run_of(&self, other: &Self) -> bool {
        self.id == other.id && self.run == other.run
    }

    /// Takes the totals of its end.
    pub fn end(&mut self, summary: &Summary, heard: WallTime) {
        self.heard = heard;
        self.totals = Totals {
            packets: summary.packets,
            bytes: summary.bytes,
            dropped: summary.dropped,
        };
        self.uncounted.clone_from(&summary.uncounted);
        self.ended = true;
    }
}

/// What is new of an audit. The newest of a finding takes the place of what was there of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The audit.
    pub audit: AuditRecord,
    /// Its findings, by their ids.
    pub findings: BTreeMap<String, FindingLine>,
}

impl Batch {
    /// Of this audit, with no finding yet.
    pub fn new(audit: AuditRecord) -> Self {
        Self {
            audit,
            findings: BTreeMap::new(),
        }
    }

    /// Takes a finding in. What is foreseen has not happened, and is not kept.
    pub fn take(&mut self, finding: FindingLine) {
        if finding.uid.is_none() {
            return;
        }
        let known = self.findings.get(&finding.id);
        if known.is_none_or(|known| known.revision <= finding.revision) {
            self.findings.insert(finding.id.clone(), finding);
        }
    }

    /// Puts what was to be written before, and could not, below what is there.
    pub fn put_below(&mut self, earlier: Self) {
        for (id, finding) in earlier.findings {
            self.findings.entry(id).or_insert(finding);
        }
    }
}
