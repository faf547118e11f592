//! `unpinned`: a rule demands a bound device, and the socket has none.

use super::{Row, headline, row};
use crate::findings::{
    cause::by_origin,
    explain::{
        Remedy, choice,
        phrases::{rule_text, sender, traffic},
    },
    finding::Finding,
    latent::Latent,
};

pub(super) static ROW: Row = Row {
    demands_device: true,
    is_of_source: false,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/unpinned.md"),
    sender: headline::sender,
    what: headline::sender,
    foreseen,
    causes: |sighted, scene, look_up| by_origin(&ROW, sighted, scene, look_up),
    home: row::by_rule,
    explanation,
    remedies,
};

fn explanation(finding: &Finding) -> String {
    let egress = finding.egress_interface();
    format!(
        "{} demands a socket that is bound to a device. {} is bound to none: only the routing table {} its {} leave via \
         {egress}.",
        rule_text(finding),
        sender(finding),
        if finding.dropped {
            "would have made"
        } else {
            "made"
        },
        traffic(finding),
    )
}

fn remedies(finding: &Finding) -> Vec<Remedy> {
    choice::by_causes(finding, &ROW).unwrap_or_else(|| choice::unpinned(finding, &ROW))
}

fn foreseen(latent: &Latent) -> String {
    let rule = latent.finding.rule();
    rule.map_or_else(String::new, |rule| {
        format!(", and rule {rule} demands a bound device")
    })
}
