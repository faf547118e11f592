//! `copy-escape`: a packet without a socket, of a bound socket's flow, left via another interface.

use super::{Row, headline, row};
use crate::findings::{
    cause::mirror,
    explain::{
        Remedy, choice,
        phrases::{left, process, source_endpoint, traffic},
    },
    finding::Finding,
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/copy-escape.md"),
    sender,
    what: sender,
    foreseen: row::nothing,
    causes: |sighted, scene, _| vec![mirror(sighted.egress, &(scene.nft)(), true)],
    home: row::bound_device,
    explanation,
    remedies,
};

fn sender(finding: &Finding) -> String {
    let copy = match finding.process {
        Some(_) => format!("a copy from {}", headline::who(finding)),
        None => "a copy".to_owned(),
    };
    headline::bound(finding, copy)
}

fn explanation(finding: &Finding) -> String {
    let egress = finding.egress_interface();
    let owner = process(finding)
        .map(|process| format!("{process}'s "))
        .unwrap_or_default();
    let bound = finding.bound_device().unwrap_or("another interface");
    format!(
        "A packet without a socket {} {egress}: {} from {}, which belongs to {owner}socket bound to {bound}. It was copied or \
         redirected.",
        left(finding),
        traffic(finding),
        source_endpoint(finding),
    )
}

/// Whatever else may be true: this has one remedy.
fn remedies(finding: &Finding) -> Vec<Remedy> {
    vec![choice::unmirrored(finding, &ROW)]
}
