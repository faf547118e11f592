//! What of a finding is worth a line of its own: not each packet, but what somebody wants to know a week later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::findings::{alert_state::AlertState, line::FindingLine};

/// A count is recorded again when it is so many times what was recorded last.
const GROWN: u64 = 10;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was found.
    Opened,
    /// It has ten times as many packets as when it was last recorded.
    Grew,
    /// No packet of it was seen for a time.
    Quiet,
    /// It has grown again.
    Reopened,
    /// An `[[accept]]` of the policy names it.
    Accepted,
    /// It is named in another finding from then on, and is none of its own.
    Joined,
}

impl Change {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Opened,
        Self::Grew,
        Self::Quiet,
        Self::Reopened,
        Self::Accepted,
        Self::Joined,
    ];

    /// The name in JSON and in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Grew => "grew",
            Self::Quiet => "quiet",
            Self::Reopened => "reopened",
            Self::Accepted => "accepted",
            Self::Joined => "joined",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.name() == name)
    }
}

/// A finding became another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// When, in UTC (RFC 3339) with microseconds.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// How.
    pub change: Change,
    /// Its state from then on.
    pub state: AlertState,
    /// How many packets it had in its audit.
    pub packets: u64,
    /// How many bytes these had.
    pub bytes: u64,
}

/// What is recorded of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its state.
    pub state: AlertState,
    /// Its packets when they were last recorded.
    pub packets: u64,
    /// Whether it is named in another finding.
    pub is_part: bool,
}

impl Recorded {
    /// What is recorded of it after `line`.
    pub fn after(line: &FindingLine, changes: &[Change], before: Option<Self>) -> Self {
        let kept = before.filter(|_| changes.is_empty());
        Self {
            state: line.state,
            packets: kept.map_or(line.packets, |before| before.packets),
            is_part: line.part_of.is_some(),
        }
    }
}

/// What became of a finding, of which this was recorded so far: one thing; two, where one that is new is no longer open.
pub fn changes(recorded: Option<Recorded>, line: &FindingLine) -> Vec<Change> {
    let is_part = line.part_of.is_some();
    let into_state = |from: AlertState| match line.state {
        state if state == from => None,
        AlertState::Open => Some(Change::Reopened),
        AlertState::Quiet => Some(Change::Quiet),
        AlertState::Accepted => Some(Change::Accepted),
    };
    match recorded {
        None => {
            let further = if is_part {
                Some(Change::Joined)
            } else {
                into_state(AlertState::Open)
            };
            [Change::Opened].into_iter().chain(further).collect()
        }
        Some(before) if is_part && !before.is_part => vec![Change::Joined],
        Some(before) => {
            let has_grown = line.packets >= before.packets.max(1).saturating_mul(GROWN);
            let change = into_state(before.state).or_else(|| has_grown.then_some(Change::Grew));
            change.into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::example;

    fn line(state: AlertState, packets: u64) -> FindingLine {
        FindingLine {
            state,
            packets,
            ..FindingLine::from(&example::finding(7))
        }
    }

    #[test]
    fn each_state_and_each_power_of_ten_is_recorded_once() {
        use AlertState::{Accepted, Open, Quiet};
        let mut recorded = None;
        let mut all = Vec::new();
        for (state, packets) in [
            (Open, 1),
            (Open, 9),
            (Open, 10),
            (Open, 99),
            (Quiet, 99),
            (Quiet, 99),
            (Open, 100),
            (Open, 1_000),
            (Accepted, 1_000),
            (Open, 1_001),
        ] {
            let line = line(state, packets);
            let changes = changes(recorded, &line);
            recorded = Some(Recorded::after(&line, &changes, recorded));
            all.extend(changes.iter().map(|change| (change.name(), packets)));
        }
        assert_eq!(
            all,
            [
                ("opened", 1),
                ("grew", 10),
                ("quiet", 99),
                ("reopened", 100),
                ("grew", 1_000),
                ("accepted", 1_000),
                ("reopened", 1_001)
            ]
        );
    }

    #[test]
    fn what_was_heard_late_is_recorded_with_what_became_of_it() {
        assert_eq!(
            changes(None, &line(AlertState::Quiet, 5)),
            [Change::Opened, Change::Quiet]
        );
        let part = FindingLine {
            part_of: Some("000000000008".to_owned()),
            ..line(AlertState::Open, 5)
        };
        assert_eq!(changes(None, &part), [Change::Opened, Change::Joined]);
        let before = Recorded {
            state: AlertState::Open,
            packets: 5,
            is_part: false,
        };
        assert_eq!(changes(Some(before), &part), [Change::Joined]);
        let before = Recorded {
            is_part: true,
            ..before
        };
        assert_eq!(changes(Some(before), &part), []);
    }

    #[test]
    fn a_change_is_found_by_its_name() {
        for change in Change::ALL {
            assert_eq!(Change::named(change.name()), Some(change));
        }
    }
}
