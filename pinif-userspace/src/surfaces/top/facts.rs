//! What a person has to know of an auditor, whatever else is looked at.

use anstyle::Style;
use pinif_ebpf::verdict::Severity;

use super::data::worst;
use crate::control::protocol::{Incomplete, Status};
use crate::surfaces::{look, standing};
use crate::text::words::counted;

/// What stands on a line, and how it looks.
pub type Piece = (String, Style);

/// What a person has to know of an auditor, the most important first.
pub fn facts(status: &Status) -> Vec<Piece> {
    let risk = look::of_severity(Severity::Risk);
    let mut pieces = vec![(
        match status.findings.is_empty() {
            true => "no finding".to_owned(),
            false => standing::findings(status),
        },
        worst(status).map_or(look::strong(), look::of_severity),
    )];
    let refused = status.interfaces.iter();
    let refused = refused
        .filter(|interface| interface.refused.is_some())
        .count();
    if refused > 0 {
        pieces.push((
            format!("{} not audited", counted(refused as u64, "interface")),
            risk,
        ));
    }
    if status.incomplete.contains(&Incomplete::Starting) {
        pieces.push(("starting".to_owned(), risk));
    }
    if status.incomplete.contains(&Incomplete::NotCounted) {
        pieces.push(("not all counted".to_owned(), risk));
    }
    if status.incomplete.contains(&Incomplete::ReloadFailed) {
        pieces.push(("policy file wrong".to_owned(), risk));
    }
    if status.enforces {
        pieces.push(("leaks are dropped".to_owned(), look::strong()));
    }
    let audited = (status.interfaces.len() - refused) as u64;
    pieces.push((
        format!("{} audited", counted(audited, "interface")),
        Style::new(),
    ));
    if status.policy.zones + status.policy.rules == 0 {
        pieces.push(("no policy".to_owned(), Style::new()));
    }
    pieces
}
