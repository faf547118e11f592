//! The totals at the end of an audit.

use std::collections::BTreeMap;

use pinif_ebpf::verdict::{CellVerdict, Direction, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{finding::SentBy, names, ready::PolicySize};

/// The totals at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How long packets were judged, in seconds.
    pub duration_s: f64,
    /// How many packets left by the audited interfaces. One that passed several on top of each other counts once.
    pub packets: u64,
    /// How many bytes these had, with the link header of the first interface.
    pub bytes: u64,
    /// How many packets were dropped, and did not leave, or did not come in (`--enforce`).
    pub dropped: u64,
    /// Who sent how much by which interface.
    pub matrix: Vec<Cell>,
    /// How many findings there are.
    pub findings: u64,
    /// How many of them the policy accepts (`[[accept]]`).
    #[serde(default)]
    pub accepted: u64,
    /// The policy that was in force at the end; null where none was loaded.
    #[serde(default)]
    pub policy: Option<PolicySize>,
    /// What could not be counted or shown, by the place that lost it; empty when nothing was lost.
    pub uncounted: BTreeMap<String, u64>,
}

/// What all cells of a matrix are together. A packet that passed several interfaces on top of each other is in a cell of each,
/// and counts once; one that was dropped did not leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// How many packets left.
    pub packets: u64,
    /// How many bytes these had.
    pub bytes: u64,
    /// How many packets were dropped.
    pub dropped: u64,
}

impl Totals {
    /// Of these cells.
    pub fn of<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> Self {
        let mut totals = Self::default();
        for cell in cells {
            if cell.dropped {
                totals.dropped += cell.packets;
            } else if !cell.carried {
                totals.packets += cell.packets;
                totals.bytes += cell.bytes;
            }
        }
        totals
    }
}

/// A cell of the matrix: what senders of one intent sent by one interface with one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// The network namespace of the egress interface.
    pub netns: String,
    /// The interface that the senders are bound to; null for unpinned sockets and for what no socket sent. Of a copy, the
    /// device of the socket that it is a copy of; of `ingress-escape`, of the one that would have received it.
    pub bound_device: Option<String>,
    /// Where the packets left, or would have left, had they not been dropped; of `ingress-escape`, where they arrived.
    pub egress_interface: String,
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
    /// `contained`; `allowed` by a rule, whatever it would be without that; or a finding's kind.
    #[serde(with = "names::verdict_name")]
    #[schemars(schema_with = "names::verdict_schema")]
    pub verdict: CellVerdict,
    /// Who sent them; of `ingress-escape`, who would have received them.
    pub origin: SentBy,
    /// They have left by an interface above this one before, whose lower device this is: a VLAN's trunk, a bond's or bridge's
    /// port, a tunnel's underlay. The summary's own `packets` and `bytes` leave them out, so that each packet is counted once.
    pub carried: bool,
    /// They were dropped, and did not leave, or did not come in. The summary's `packets` and `bytes` leave them out, its `dropped` counts them.
    pub dropped: bool,
}

impl Cell {
    /// Whether its packets came from elsewhere: they were dropped where they arrived. What comes in is in no cell.
    pub fn has_arrived(&self) -> bool {
        let kind = self.verdict.kind();
        kind.is_some_and(|kind| kind.row().direction == Direction::Ingress)
    }
}

/// A cell of the matrix, and how grave it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GradedCell {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// The severity of the gravest finding in it; null of what is `contained` or `allowed`.
    #[serde(with = "names::severity_or_none")]
    #[schemars(schema_with = "names::severity_or_none_schema")]
    pub severity: Option<Severity>,
}
