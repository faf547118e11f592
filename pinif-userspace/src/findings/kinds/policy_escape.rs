//! `policy-escape`: a rule names the zones that this traffic may use, and it left via none of them.

use super::{Row, headline, row};
use crate::findings::{
    cause::by_origin,
    explain::{
        Remedy, choice,
        phrases::{allowed, allowed_by, left, process, rule_text, traffic},
    },
    finding::{Finding, SentBy},
    latent::Latent,
};

pub(super) static ROW: Row = Row {
    demands_device: false,
    is_of_source: false,
    does: "left via",
    fate: "left",
    page: include_str!("../../../kinds/policy-escape.md"),
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
    let did = if finding.dropped {
        "would have sent it via"
    } else {
        "sent it via"
    };
    let sent = match (finding.origin, process(finding)) {
        (SentBy::Socket, Some(process)) => format!("{process}'s socket {did} {egress}"),
        (SentBy::Socket, None) => format!("a socket of no known process {did} {egress}"),
        (SentBy::Kernel, _) => format!("the kernel {did} {egress}"),
        (SentBy::None, _) => format!("it {} {egress}", left(finding)),
    };
    format!(
        "{} lets {} leave via {} only, and {sent}.",
        rule_text(finding),
        traffic(finding),
        allowed(finding)
    )
}

fn remedies(finding: &Finding) -> Vec<Remedy> {
    if let Some(remedies) = choice::by_causes(finding, &ROW) {
        return remedies;
    }
    match &finding.place.bound_device {
        Some(bound) if choice::is_owned(finding) && !choice::has_no_way(finding) => {
            let mut all = choice::routed_home(finding, &ROW);
            all.extend(choice::bound_instead(finding, &ROW, bound));
            all
        }
        _ => choice::where_it_belongs(finding, &ROW),
    }
}

fn foreseen(latent: &Latent) -> String {
    let rule = latent.finding.place.rule.as_ref();
    let named = rule.and_then(|rule| Some((rule.name.as_ref()?, rule)));
    named.map_or_else(String::new, |(name, rule)| {
        format!(
            ", and rule {name} lets it leave via {} only",
            allowed_by(rule)
        )
    })
}
