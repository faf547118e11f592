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
use crate::findings::related::Related;
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
    /// Whether its packets were dropped, and did not leave, or did not come in.
    pub dropped: bool,
    /// The last count of packets.
    pub packets: u64,
    /// The last count of bytes.
    pub bytes: u64,
    /// Whether somebody is to look at it.
    pub state: AlertState,
    /// The other packets of its connections.
    pub related: Vec<RelatedRow>,
    causes: Arc<[Cause]>,
    shown: u64,
    shown_at: Duration,
}

/// What is kept of packets that are named in a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedRow {
    /// Their kind.
    pub kind: Kind,
    /// Where they left or arrived, as it is.
    pub interface: Arc<str>,
    /// How grave that is.
    pub severity: Severity,
    /// The last count of packets.
    pub packets: u64,
    /// The last count of bytes.
    pub bytes: u64,
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
    /// That other packets of its connections were found.
    Related,
    /// That it is named in another by now, and is none any more.
    Part,
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
        if finding.part_of().is_some() {
            return self.remove(place);
        }
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
        } else if fresh.related.len() > row.related.len() {
            Show::Related
        } else if finding.packets >= shown.saturating_mul(10).max(10)
            || !self.is_sparing
                && finding.packets >= shown.saturating_mul(2).max(2)
                && now.saturating_sub(*shown_at) >= PAUSE
        {
            Show::Growth
        } else {
            (row.packets, row.bytes) = (fresh.packets, fresh.bytes);
            row.related = fresh.related;
            return Show::Nothing;
        };
        *row = fresh;
        show
    }

    /// Takes out what is named in another.
    fn remove(&mut self, place: Option<usize>) -> Show {
        let Some(place) = place else {
            return Show::Nothing;
        };
        self.rows.remove(place);
        self.places.retain(|_, other| *other != place);
        for other in self.places.values_mut().filter(|other| **other > place) {
            *other -= 1;
        }
        Show::Part
    }

    /// How grave a cell of the matrix is: as grave as the gravest finding in it.
    pub fn severity(&self, cell: &Cell, kind: Kind) -> Severity {
        let rows = self.rows.iter();
        rows.filter_map(|row| row.severity_in(cell, kind))
            .max()
            .unwrap_or(kind.row().severity)
    }

    /// What is known of all.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl Row {
    /// Whether the policy accepts it, so that it alerts nobody.
    pub fn is_accepted(&self) -> bool {
        self.state == AlertState::Accepted
    }

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

    /// All packets of a kind and a severity in it, those that are named in it too.
    pub fn packets_of(&self, kind: Kind, severity: Severity) -> u64 {
        let is_own = (self.kind, self.severity) == (kind, severity);
        let related = self.related.iter();
        related
            .filter(|one| (one.kind, one.severity) == (kind, severity))
            .fold(if is_own { self.packets } else { 0 }, |sum, one| {
                sum.saturating_add(one.packets)
            })
    }

    /// How grave those of its packets are that are in a cell; nothing where none may be.
    fn severity_in(&self, cell: &Cell, kind: Kind) -> Option<Severity> {
        let is_there = self.dropped == cell.dropped && self.netns == cell.netns;
        if !is_there {
            return None;
        }
        if self.kind == kind {
            let is_of_it = self.egress_interface == cell.egress_interface
                && self.bound_device == cell.bound_device;
            return is_of_it.then_some(self.severity);
        }
        let is_of_it =
            |one: &&RelatedRow| one.kind == kind && *one.interface == *cell.egress_interface;
        self.related.iter().find(is_of_it).map(|one| one.severity)
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
            related: finding.related().iter().map(RelatedRow::from).collect(),
            causes: Arc::clone(&finding.causes),
            shown: finding.packets,
            shown_at: now,
        }
    }
}

impl From<&Related> for RelatedRow {
    fn from(related: &Related) -> Self {
        Self {
            kind: related.kind,
            interface: Arc::clone(&related.interface),
            severity: related.severity,
            packets: related.packets,
            bytes: related.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{example::finding, related::Connection};

    fn with_answers(packets: u64) -> Finding {
        let answer = Related {
            kind: Kind::IngressEscape,
            severity: Severity::Risk,
            packets,
            ..finding(2).as_related()
        };
        Finding {
            connection: Some(Arc::new(Connection::Has(vec![answer]))),
            ..finding(1)
        }
    }

    #[test]
    fn what_is_named_in_a_finding_is_shown_once_and_counted() {
        let mut shown = Shown::default();
        let mut take = |finding: &Finding| shown.take(finding, Duration::ZERO);
        assert_eq!(take(&finding(1)), Show::Whole);
        assert_eq!(take(&with_answers(1)), Show::Related);
        assert_eq!(take(&with_answers(4)), Show::Nothing);
        let [row] = shown.rows() else {
            panic!("one finding");
        };
        let of = |kind, severity| row.packets_of(kind, severity);
        assert_eq!(of(Kind::IngressEscape, Severity::Risk), 4);
        assert_eq!(of(Kind::IngressEscape, Severity::Leak), 0);
        assert_eq!(of(Kind::DeviceEscape, Severity::Leak), 1);
    }

    #[test]
    fn what_is_named_in_another_is_none_any_more() {
        let mut shown = Shown::default();
        let mut take = |finding: &Finding| shown.take(finding, Duration::ZERO);
        let part = Finding {
            connection: Some(Arc::new(Connection::PartOf(FindingId(2)))),
            ..finding(1)
        };
        assert_eq!(take(&part), Show::Nothing, "nobody knew it");
        for id in [1, 2, 3] {
            take(&finding(id));
        }
        assert_eq!(take(&part), Show::Part);
        assert_eq!(take(&finding(3)), Show::Nothing, "the others are known");
        assert_eq!(take(&finding(1)), Show::Whole, "it is one again");
        assert_eq!(shown.rows().len(), 3);
    }
}
