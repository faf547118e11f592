//! `address-escape`: from an address that one interface alone has, left via another.

use super::{Row, headline, row};
use crate::findings::{
    cause::by_origin,
    explain::{
        Remedy, choice,
        phrases::{left, sender, source_address, traffic},
    },
    finding::{Finding, SentBy},
    latent::Latent,
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: true,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/address-escape.md"),
    sender: headline::sender,
    what,
    foreseen,
    causes: |sighted, scene, look_up| by_origin(&ROW, sighted, scene, look_up),
    home: row::source_owner,
    explanation,
    remedies,
};

fn what(finding: &Finding) -> String {
    let owner = finding.place.source_owner.as_deref();
    let owner = owner.unwrap_or("another interface");
    format!("source {} of {owner}", source_address(finding))
}

fn explanation(finding: &Finding) -> String {
    let egress = finding.egress_interface();
    let place = &finding.place;
    let owner = place.source_owner.as_deref().unwrap_or("another interface");
    // Only of a program that called it, and whose address it has: NAT may have changed that.
    let source = finding.flow.map(|flow| flow.source.address);
    let bind = if finding.bound_address.is_some() && finding.bound_address == source {
        ": bind() sets the source address; it does not choose the interface"
    } else {
        ""
    };
    let mut text = format!(
        "{} {} from {}, an address of {owner} alone, and it {} {egress}{bind}.",
        sender(finding),
        match finding.origin {
            SentBy::Socket | SentBy::Kernel => format!("sent {}", traffic(finding)),
            SentBy::None => format!("went as {}", traffic(finding)),
        },
        source_address(finding),
        left(finding),
    );
    if let Some(zone) = &place.contained_zone {
        text.push_str(&format!(" Zone {zone}, which holds {owner}, is contained."));
    }
    text
}

fn remedies(finding: &Finding) -> Vec<Remedy> {
    let mut all = choice::unasked(finding);
    // Another address would not do where a rule says that it must not leave there.
    let by_kind = || match choice::breaks_rule(finding) {
        true => choice::where_it_belongs(finding, &ROW),
        false => choice::away_from_source(finding, &ROW),
    };
    all.extend(choice::by_causes(finding, &ROW).unwrap_or_else(by_kind));
    all
}

fn foreseen(latent: &Latent) -> String {
    let owner = latent.finding.place.source_owner.as_deref();
    let owner = owner.unwrap_or("another interface");
    match latent.source {
        Some(source) => format!(" with {source}, an address of {owner} alone"),
        None => String::new(),
    }
}
