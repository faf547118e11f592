//! `crossed-bind`: bound to one interface's address and to another device.

use super::{Row, headline, row};
use crate::findings::{
    decode::Sighted,
    explain::{
        Cause, CauseKind, Remedy,
        phrases::{sender, source_address},
    },
    finding::Finding,
    scene::{LookUp, Scene},
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/crossed-bind.md"),
    sender: headline::sender,
    what: headline::sender,
    foreseen: row::nothing,
    causes,
    home: row::source_owner,
    explanation,
    remedies,
};

/// Two calls that both succeeded.
fn causes(sighted: &Sighted, scene: &Scene<'_>, _: &mut LookUp<'_>) -> Vec<Cause> {
    let owner = sighted
        .bound_address
        .and_then(|address| scene.network.sole_owner(address));
    match (sighted.bound_address, owner, sighted.bound) {
        (Some(address), Some(owner), Some(bound)) => vec![Cause::certain(CauseKind::Crossed {
            address,
            owner: (scene.name)(owner),
            device: (scene.name)(bound),
        })],
        _ => Vec::new(),
    }
}

fn explanation(finding: &Finding) -> String {
    let bound = finding.bound_device().unwrap_or("one device");
    let owner = finding.place.source_owner.as_deref();
    let owner = owner.unwrap_or("another interface");
    format!(
        "{} is bound to {bound}, and to {}, an address of {owner} alone: answers to that address may arrive on {owner}, where \
         this socket does not receive them.",
        sender(finding),
        source_address(finding),
    )
}

/// Whatever else may be true: this has one remedy.
fn remedies(finding: &Finding) -> Vec<Remedy> {
    vec![Remedy::Uncross {
        bound: finding.place.bound_device.clone(),
        bound_address: finding.ways.source,
        owner: finding.place.source_owner.clone(),
    }]
}
