//! A finding as a row for spreadsheets.

use crate::{
    findings::{line::FindingLine, process::Process},
    text::csv,
};

/// The headings of CSV. They are a contract: more come at the end.
pub const HEADINGS: [&str; 27] = [
    "id",
    "uid",
    "revision",
    "state",
    "severity",
    "kind",
    "rule",
    "first_seen",
    "last_seen",
    "packets",
    "bytes",
    "dropped",
    "netns",
    "bound_device",
    "egress_interface",
    "direction",
    "protocol",
    "source",
    "destination",
    "pid",
    "comm",
    "exe",
    "user",
    "cgroup",
    "cause",
    "explanation",
    "remedy",
];

/// The cells of a finding, in the order of the headings.
pub fn values(finding: &FindingLine) -> [String; HEADINGS.len()] {
    let process = finding.process.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let of_process =
        |value: fn(&Process) -> Option<String>| process.and_then(value).unwrap_or_default();
    [
        finding.id.clone(),
        text(&finding.uid),
        finding.revision.to_string(),
        finding.state.name().to_owned(),
        finding.severity.name().to_owned(),
        finding.kind.name().to_owned(),
        text(&finding.rule),
        finding.first_seen.clone(),
        finding.last_seen.clone(),
        finding.packets.to_string(),
        finding.bytes.to_string(),
        finding.dropped.to_string(),
        finding.netns.clone(),
        text(&finding.bound_device),
        finding.egress_interface.clone(),
        finding.direction.name().to_owned(),
        finding.protocol.clone(),
        finding.source.clone(),
        finding.destination.clone(),
        of_process(|process| process.pid.map(|pid| pid.to_string())),
        of_process(|process| Some(process.comm.clone())),
        of_process(|process| process.exe.clone()),
        of_process(|process| Some(process.uid.to_string())),
        of_process(|process| process.cgroup.clone()),
        finding.cause.clone(),
        finding.explanation.clone(),
        finding.remedy.clone(),
    ]
}

/// The same as a row.
pub fn row(finding: &FindingLine) -> String {
    csv::row(values(finding).iter().map(String::as_str))
}
