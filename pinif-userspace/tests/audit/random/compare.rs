//! What an audit reports, held against what it must.

use std::collections::BTreeMap;
use std::fmt::Debug;

use pinif_userspace::findings::line::{self, FindingLine, RelatedLine};

use super::oracle::{Expected, Key, Subject};
use crate::bench::Report;

/// In words, all that is otherwise.
pub fn differences(report: &Report, expected: &Expected) -> Vec<String> {
    let mut all = Vec::new();
    let places = report.places().into_iter();
    let cells = places
        .map(|(place, (packets, _))| (place, packets))
        .collect();
    compare("the matrix", &expected.cells, &cells, &mut all);
    let mut findings = BTreeMap::new();
    for line in &report.findings {
        *findings.entry(key(line)).or_default() += line.packets;
        // The oracle knows of packets, and not which of them are of one connection.
        for related in &line.related {
            *findings.entry(key_of_related(line, related)).or_default() += related.packets;
        }
    }
    compare("the findings", &expected.findings, &findings, &mut all);
    if report.summary.packets != expected.total {
        all.push(format!(
            "the total must be {}, and is {}",
            expected.total, report.summary.packets
        ));
    }
    if !report.summary.uncounted.is_empty() {
        all.push(format!("losses: {:?}", report.summary.uncounted));
    }
    let is_leak = expected.findings.keys().any(|key| key.severity == "leak");
    if report.status.code() != Some(if is_leak { 2 } else { 0 }) {
        all.push(format!("it ended with {}", report.status));
    }
    all
}

fn compare<K: Ord + Debug>(
    what: &str,
    expected: &BTreeMap<K, u64>,
    reported: &BTreeMap<K, u64>,
    all: &mut Vec<String>,
) {
    let keys = expected
        .keys()
        .chain(reported.keys().filter(|key| !expected.contains_key(key)));
    for key in keys {
        let (must, is) = (expected.get(key), reported.get(key));
        if must != is {
            let number = |number: Option<&u64>| number.copied().unwrap_or(0);
            let (must, is) = (number(must), number(is));
            all.push(format!("{what}: must have {must}, and has {is} of {key:?}"));
        }
    }
}

fn key(line: &FindingLine) -> Key {
    Key {
        kind: line.kind.name(),
        severity: line.severity.name(),
        rule: line.rule.clone(),
        bound: line.bound_device.clone(),
        egress: line.egress_interface.clone(),
        dropped: line.dropped,
        subject: subject(line.subject.as_ref()),
    }
}

/// The key of a finding that another one names: it is of the same interface.
fn key_of_related(line: &FindingLine, related: &RelatedLine) -> Key {
    Key {
        kind: related.kind.name(),
        severity: related.severity.name(),
        rule: related.rule.clone(),
        bound: related.bound_device.clone(),
        egress: line.egress_interface.clone(),
        dropped: line.dropped,
        subject: subject(related.subject.as_ref()),
    }
}

fn subject(subject: Option<&line::Subject>) -> Subject {
    match subject {
        Some(line::Subject::Program { .. }) => Subject::Program,
        Some(line::Subject::Forwarded {
            interface,
            protocol,
        }) => Subject::Forwarded(interface.clone(), protocol.clone().unwrap_or_default()),
        other => Subject::Other(format!("{other:?}")),
    }
}
