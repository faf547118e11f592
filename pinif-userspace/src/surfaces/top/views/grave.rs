//! How grave a finding is, in a word.

use crate::findings::alert_state::AlertState;
use crate::findings::line::FindingLine;
use crate::surfaces::{grid::Text, look};

/// Its severity, in its colour; of one that is quiet, that it is.
pub fn severity(finding: &FindingLine) -> Text {
    let severity = finding.severity.name();
    match finding.state {
        AlertState::Open => Text::left(severity).styled(look::of_severity(finding.severity)),
        AlertState::Quiet => Text::left(format!("{severity}, quiet")).styled(look::faint()),
    }
}
