//! Whether somebody is to look at a finding now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a finding. It keeps its id in each.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "State")]
pub enum AlertState {
    /// Packets of it were seen of late; or it is of a kind whose packets cannot be seen.
    #[default]
    Open,
    /// No packet of it was seen for a time (`--quiet-after`).
    Quiet,
    /// An `[[accept]]` of the policy names it, and its date is not over: it alerts nobody.
    Accepted,
}

impl AlertState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Quiet, Self::Accepted];

    /// The name in JSON and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Quiet => "quiet",
            Self::Accepted => "accepted",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a finding in this state counts for an exit status, and for whoever is alerted.
    pub const fn alerts(self) -> bool {
        match self {
            Self::Open | Self::Quiet => true,
            Self::Accepted => false,
        }
    }
}
