//! `reply-escape`: a UDP server that is bound to nothing answers via another interface than the one that it was asked by.

use std::sync::Arc;

use super::{Row, headline, row};
use crate::findings::{
    cause::by_origin,
    decode::Sighted,
    explain::{
        Cause, CauseKind, Home, Remedy, choice,
        phrases::{destination_address, left, packet_info, sender, traffic},
    },
    finding::Finding,
    scene::{LookUp, Scene},
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/reply-escape.md"),
    sender: headline::sender,
    what: headline::sender,
    foreseen: row::nothing,
    causes,
    home: row::by_rule,
    explanation,
    remedies,
};

/// Where it was asked, and what chose the way of the answer.
fn causes(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    let asked = sighted.arrived.map(|by| {
        Cause::certain(CauseKind::Asked {
            by: (scene.name)(by),
        })
    });
    let chosen = by_origin(&ROW, sighted, scene, look_up);
    asked.into_iter().chain(chosen).collect()
}

fn asked_by(finding: &Finding) -> Option<&str> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Asked { by } => Some(by.as_str()),
        _ => None,
    })
}

fn explanation(finding: &Finding) -> String {
    let asked = match asked_by(finding) {
        Some(by) => format!("came in via {by}"),
        None => "came in via another interface".to_owned(),
    };
    let to = destination_address(finding).map_or_else(String::new, |to| format!(" from {to}"));
    let egress = finding.egress_interface();
    let mut text = format!(
        "{}, bound to no device and to no address, answered with {}, which {} {egress}; but the last packet{to} {asked}.",
        sender(finding),
        traffic(finding),
        left(finding),
    );
    let place = &finding.place;
    if let (Some(zone), Some(inside)) = (&place.contained_zone, &place.contained_interface) {
        let outside = match asked_by(finding) {
            Some(by) if **inside == *egress => by,
            _ => egress,
        };
        text.push_str(&format!(
            " Zone {zone} is contained, and holds {inside}, but not {outside}."
        ));
    }
    text
}

/// A route to the client for whoever runs the host; the program can know where each request came in.
fn remedies(finding: &Finding) -> Vec<Remedy> {
    let home = asked_by(finding).map_or(Home::Unknown, |by| Home::of(&Arc::from(by)));
    let to = destination_address(finding);
    let routes = choice::reached_home(finding, &ROW);
    if choice::has_no_way(finding) {
        // An answer that names the interface would wait there for a neighbour.
        let allow = None;
        return routes.unwrap_or_else(|| {
            vec![Remedy::Decide {
                to,
                home,
                allow,
                is_for_unbound: false,
            }]
        });
    }
    let mut all = routes.unwrap_or_else(|| {
        let to = to.into_iter().map(Into::into).collect();
        vec![Remedy::Route(choice::instead_of(
            None,
            to,
            home.clone(),
            None,
        ))]
    });
    all.push(Remedy::AnswerThere(home, packet_info(finding)));
    all
}
