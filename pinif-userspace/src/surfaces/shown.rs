//! What a sink for people has shown of each finding: when to show it again, and the last counts for the end.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pinif_ebpf::verdict::{Kind, Severity};

use super::phrase;
use crate::findings::alert_state::AlertState;
use crate::findings::explain::Cause;
use crate::findings::finding::{Finding, FindingId};
use crate::findings::kinds;
use crate::findings::summary::Cell;
use crate::text::escape::visible;

/// A finding that only doubles is shown again no sooner than this.
pub const PAUSE: Duration = Duration::from_secs(10);

/// All findings that a sink was given, in the order of their first sightings.
#[derive(Debug, Default)]
pub struct Shown {
    places: HashMap<FindingId, usize>,
    rows: Vec<Row>,
    /// What only doubles is not shown again.
    is_sparing: bool,
}

/// What is kept of a finding.
#[derive(Debug)]
pub struct Row {
    /// Its severity.
    pub severity: Severity,
    /// Its kind.
    pub kind: Kind,
    /// The namespace, as it is.
    netns: String,
    /// Who sent it, as in the headline; safe to show.
    pub sender: String,
    /// What happened, in a few words; safe to show.
    pub outcome: String,
    /// The bound device, as it is.
    bound_device: Option<String>,
    /// Where it left, as it is.
    egress_interface: String,
    /// Whether its packets were dropped, and did not leave.
    pub dropped: bool,
    /// The last count of packets.
    pub packets: u64,
    /// The last count of bytes.
    pub bytes: u64,
    state: AlertState,
    causes: Arc<[Cause]>,
    shown: u64,
    shown_at: Duration,
}

/// What to show of a finding now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// All of it.
    Whole,
    /// That it has grown.
    Growth,
    /// What was learned since.
    Change,
    /// That its state is another.
    State,
    /// Nothing: the summary has its last counts.
    Nothing,
}

impl Shown {
    /// Those of a sink that keeps what it is given, so that each line counts: a finding is shown again when its count is ten times
    /// what was last shown, and not when it has doubled.
    pub fn sparing() -> Self {
        Self {
            is_sparing: true,
            ..Self::default()
        }
    }

    /// Takes a finding and says what to show of it. It is shown again when its count is ten times what was last shown, or
    /// twice that after a pause: a burst is shown at once, and what goes on for days is shown seldom. A new state is shown always.
    pub fn take(&mut self, finding: &Finding, now: Duration) -> Show {
        let place = self.places.get(&finding.id).copied();
        let Some(row) = place.and_then(|place| self.rows.get_mut(place)) else {
            self.places.insert(finding.id, self.rows.len());
            self.rows.push(Row::of(finding, now));
            return Show::Whole;
        };
        let Row {
            causes,
            shown,
            shown_at,
            ..
        } = row;
        let fresh = Row::of(finding, now);
        let show = if fresh.state != row.state {
            Show::State
        } else if fresh.sender != row.sender || fresh.causes != *causes {
            Show::Change
        } else if finding.packets >= shown.saturating_mul(10).max(10)
            || !self.is_sparing
                && finding.packets >= shown.saturating_mul(2).max(2)
                && now.saturating_sub(*shown_at) >= PAUSE
        {
            Show::Growth
        } else {
            (row.packets, row.bytes) = (fresh.packets, fresh.bytes);
            return Show::Nothing;
        };
        *row = fresh;
        show
    }

    /// How grave a cell of the matrix is: as grave as the gravest finding in it.
    pub fn severity(&self, cell: &Cell, kind: Kind) -> Severity {
        let rows = self.rows.iter().filter(|row| row.is_of(cell, kind));
        rows.map(|row| row.severity)
            .max()
            .unwrap_or(kind.row().severity)
    }

    /// What is known of all.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl Row {
    /// What became of its packets, in a word.
    pub fn fate(&self) -> &'static str {
        if self.dropped {
            "dropped"
        } else {
            kinds::of(self.kind).fate
        }
    }

    /// The namespace, safe to show.
    pub fn netns(&self) -> Cow<'_, str> {
        visible(&self.netns)
    }

    /// Where it left, safe to show.
    pub fn egress_interface(&self) -> Cow<'_, str> {
        visible(&self.egress_interface)
    }

    fn is_of(&self, cell: &Cell, kind: Kind) -> bool {
        self.kind == kind
            && self.dropped == cell.dropped
            && self.egress_interface == cell.egress_interface
            && self.bound_device == cell.bound_device
            && self.netns == cell.netns
    }

    fn of(finding: &Finding, now: Duration) -> Self {
        Self {
            severity: finding.severity,
            kind: finding.kind,
            netns: finding.netns().to_owned(),
            sender: phrase::sender(finding),
            outcome: phrase::outcome(finding),
            bound_device: finding.bound_device().map(str::to_owned),
            egress_interface: finding.egress_interface().to_owned(),
            dropped: finding.dropped,
            packets: finding.packets,
            bytes: finding.bytes,
            state: finding.state,
            causes: Arc::clone(&finding.causes),
            shown: finding.packets,
            shown_at: now,
        }
    }
}
