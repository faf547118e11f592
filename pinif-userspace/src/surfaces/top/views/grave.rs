//! How grave a finding is, in a word.

use crate::findings::alert_state::AlertState;
use crate::findings::line::FindingLine;
use crate::surfaces::{grid::Text, look};

/// Its severity, in its colour; of one that is quiet or accepted, that it is.
pub fn severity(finding: &FindingLine) -> Text {
    let severity = finding.severity.name();
    match finding.state {
        AlertState::Open => Text::left(severity).styled(look::of_severity(finding.severity)),
        state @ (AlertState::Quiet | AlertState::Accepted) => {
            Text::left(format!("{severity}, {}", state.name())).styled(look::faint())
        }
    }
}
