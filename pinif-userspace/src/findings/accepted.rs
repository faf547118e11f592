//! That the operator knows of a finding, and has accepted it for a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the policy's `[[accept]]` says of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Why it is accepted.
    pub reason: String,
    /// Until when, as the policy has it: the last day, in UTC, or a moment.
    pub until: String,
    /// It was accepted, and that is over.
    pub expired: bool,
}
