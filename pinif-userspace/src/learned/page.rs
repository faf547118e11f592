//! A page of what an auditor has learned: as the collector has it, and as it is said over the control socket and in files.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{network::LearnedNamespace, traffic::Traffic};

/// A page, as the collector has it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Since when it learns.
    pub since: SystemTime,
    /// How often there was no room for something new.
    pub not_learned: u64,
    /// How many entries there are on all pages.
    pub total: u64,
    /// Where the next page begins; none on the last one.
    pub next: Option<u64>,
    /// The entries, in the order of their first packets.
    pub traffic: Vec<Traffic>,
}

/// What was sent by whom since the auditor learns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LearnedPage {
    /// When it was so, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// Since when the auditor learns.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// How often there was no room for something new; with more than zero, what is here is not all.
    pub not_learned: u64,
    /// How many entries of `traffic` there are on all pages.
    pub total: u64,
    /// What `from` is of the next page; null on the last one.
    pub next: Option<u64>,
    /// The network namespaces as they are now, on the first page alone.
    pub namespaces: Vec<LearnedNamespace>,
    /// What was sent, in the order of the first packets.
    pub traffic: Vec<Traffic>,
}
