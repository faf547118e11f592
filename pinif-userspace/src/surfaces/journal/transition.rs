//! What is new of a finding, for an entry of the journal.

use crate::{
    findings::{alert_state::AlertState, finding::Finding},
    surfaces::shown::Show,
};

/// What is new of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It is new, to this auditor.
    Opened,
    /// Its count is ten times that of its last entry.
    Grown,
    /// More is known of it, such as its process.
    Refined,
    /// No packet of it was seen for a time.
    Quiet,
    /// It was quiet, or was accepted by a policy that does not say so any more.
    Reopened,
    /// The policy accepts it.
    Accepted,
    /// It was accepted, and the date of that is over.
    Expired,
    /// Other packets of its connections were found.
    Related,
    /// It is named in another finding by now, and is none any more.
    Part,
    /// It has not happened, and would if the network changed.
    Foreseen,
}

impl Transition {
    /// What is new of a finding that is shown so; nothing, where it is not shown.
    pub fn of(finding: &Finding, show: Show) -> Option<Self> {
        let is_over = || {
            let accepted = finding.accepted.as_deref();
            accepted.is_some_and(|accepted| accepted.expired)
        };
        Some(match show {
            Show::Whole => Self::Opened,
            Show::Growth => Self::Grown,
            Show::Change => Self::Refined,
            Show::State => match finding.state {
                AlertState::Quiet => Self::Quiet,
                AlertState::Accepted => Self::Accepted,
                AlertState::Open if is_over() => Self::Expired,
                AlertState::Open => Self::Reopened,
            },
            Show::Related => Self::Related,
            Show::Part => Self::Part,
            Show::Nothing => return None,
        })
    }

    /// The value of `PINIF_TRANSITION`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Grown => "grown",
            Self::Refined => "refined",
            Self::Quiet => "quiet",
            Self::Reopened => "reopened",
            Self::Accepted => "accepted",
            Self::Expired => "expired",
            Self::Related => "related",
            Self::Part => "part",
            Self::Foreseen => "foreseen",
        }
    }
}
