//! `arp-flux`: an interface answers ARP requests for an address that another alone has. No packet is known of it.

use super::{Row, row};
use crate::{
    findings::{
        explain::{CauseKind, Remedy, choice},
        finding::Finding,
    },
    host::arp_flux::ArpFlux,
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "may arrive on",
    fate: "may arrive",
    page: include_str!("../../../kinds/arp-flux.md"),
    sender: address,
    what: |finding| format!("traffic for {}", address(finding)),
    foreseen: row::nothing,
    causes: |_, _, _| Vec::new(),
    home: row::by_rule,
    explanation,
    remedies,
};

fn flux(finding: &Finding) -> Option<&ArpFlux> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::ArpFlux(flux) => Some(&**flux),
        _ => None,
    })
}

/// The address that the interface answers for: `10.0.0.1 of fab0`.
fn address(finding: &Finding) -> String {
    let answer = flux(finding).and_then(|flux| flux.answers.first().zip(flux.names.get(1)));
    answer.map_or(
        "an address of another".to_owned(),
        |((_, address), other)| format!("{address} of {other}"),
    )
}

fn explanation(finding: &Finding) -> String {
    let interface = finding.egress_interface();
    let Some(flux) = flux(finding) else {
        return format!("{interface} answers ARP requests for addresses that it does not have.");
    };
    let own = |(name, address): &(String, _)| {
        let other = flux.names.iter().find(|other| *other != name);
        let other = other.map_or("another", String::as_str);
        format!("{name} answers ARP requests for {address}, which {other} alone has")
    };
    let answers: Vec<String> = flux.answers.iter().map(own).collect();
    let [name, other] = &flux.names;
    let place = match flux.is_foreign {
        true => format!("a neighbour on {name}, and in the network of {other}"),
        false => "a neighbour on both".to_owned(),
    };
    format!(
        "{}; and {} is {place}. Who is in that network sends to either interface, whichever answers first.",
        answers.join(", and "),
        flux.neighbour
    )
}

fn remedies(finding: &Finding) -> Vec<Remedy> {
    choice::by_causes(finding, &ROW).unwrap_or_else(|| vec![Remedy::AuditNextHop])
}
