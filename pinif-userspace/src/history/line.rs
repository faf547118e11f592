//! What `pinif history --format json` prints, and `/v1/history` of `pinif serve` answers.
//!
//! Names of the fields are a contract with scripts; `docs/schema/pinif-history.schema.json` is made from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transition::Transition;
use crate::findings::{line::FindingLine, summary::Totals};

/// One line that `pinif history --format json` prints. `type` says which: an `audit` for each whose counts begin anew, a `clock` for each
/// time that the wall clock was set, then the findings. More fields and types may come; readers ignore those they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(title = "A line of pinif history --format json")]
pub enum HistoryLine {
    /// An audit: when it was, and its totals.
    Audit(Box<AuditLine>),
    /// The wall clock was set: times before and after differ by that.
    Clock(ClockLine),
    /// A finding of one or more audits.
    Finding(Box<PastFinding>),
}

/// An audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLine {
    /// The UUID of the machine's boot.
    pub boot: String,
    /// The machine's id; null where it has none.
    pub host: Option<String>,
    /// What the machine is called besides (`--label`).
    pub labels: BTreeMap<String, String>,
    /// The version of its last auditor.
    pub version: String,
    /// How many auditors were heard that went on with these counts (`--persist`).
    pub runs: u64,
    /// When its counts begin, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub started: String,
    /// When it was first heard.
    #[schemars(extend("format" = "date-time"))]
    pub first_heard: String,
    /// When it was last heard. What it counted later is not known.
    #[schemars(extend("format" = "date-time"))]
    pub last_heard: String,
    /// It said that it ended: the totals are its last ones.
    pub ended: bool,
    /// What left in it, and what was dropped.
    #[serde(flatten)]
    pub totals: Totals,
    /// What could not be counted, by the place that lost it; empty when nothing was lost.
    pub uncounted: BTreeMap<String, u64>,
    /// How many of its findings are kept.
    pub findings: u64,
}

/// The wall clock was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockLine {
    /// When, by the clock as it was set, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// By how many seconds: forward, or back where it is negative.
    pub by_s: f64,
}

/// A finding over all audits of one boot: its newest facts, with the `packets` and `bytes` of all of them together, and the first and the
/// last time that it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PastFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: FindingLine,
    /// How many audits have found it.
    pub audits: u64,
    /// What became of it, in this order; the newest 100 of each audit.
    pub transitions: Vec<Transition>,
}

/// An answer of `/v1/history`: a page of findings, in the order of their first sightings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPage {
    /// How many findings there are that are asked for, on all pages.
    pub total: u64,
    /// What `from` is of the next page; null on the last one.
    pub next: Option<u64>,
    /// The findings.
    pub findings: Vec<PastFinding>,
    /// The audits that were heard since the time that is asked for, in the order of their beginnings.
    pub audits: Vec<AuditLine>,
    /// When the wall clock was set since then.
    pub clock: Vec<ClockLine>,
}
