//! The remedies that lead packets where they belong by a route, or say that somebody has to decide where that is.

use std::sync::Arc;

use pinif_ebpf::verdict::Kind;

use super::{
    egress,
    facts::{Reached, keeps_foreign_source, own_home, reached},
    home,
};
use crate::findings::{
    explain::{
        CauseKind, NewRoute, OutOfRule, Remedy, Route, Translation, phrases::destination_address,
    },
    finding::Finding,
    kinds::Row,
    ways::{ChosenBy, Way},
};

/// A route to where it belongs, or that its destination is kept out of the rule that led elsewhere; where nothing reaches it from there,
/// that somebody has to decide. Nothing where no rule says where it belongs: it may leave where it left, from another address.
pub(in crate::findings) fn route_home(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let is_of_address = own_home(finding, row).is_some();
    let to = destination_address(finding);
    let taken = route_taken(finding);
    let table = taken.and_then(|route| {
        let is_by_rule = route.rule.is_some();
        is_by_rule.then(|| (route.table.clone(), route.table_number))
    });
    let route = |way: Option<Way>| NewRoute {
        to,
        home: home(finding, row),
        way,
        table: table.clone(),
    };
    let way = match reached(finding) {
        Reached::Unknown => return vec![Remedy::Route(route(None))],
        Reached::Nowhere if is_of_address => return Vec::new(),
        Reached::Nowhere => {
            let rule = finding.place.rule.as_ref();
            let rule = rule.and_then(|rule| rule.name.clone());
            // An address that is wrong there, no rule makes right.
            let rule = rule.filter(|_| finding.kind != Kind::AddressEscape);
            return vec![undecided(finding, row, rule)];
        }
        Reached::By(way) => way,
    };
    let translation = keeps_foreign_source(finding, &way).then(|| Translation {
        egress: way.interface.clone(),
        ..translation(finding)
    });
    let out = taken.and_then(|route| {
        Some(Remedy::OutOfRule(OutOfRule {
            to,
            rule: route.rule.clone()?,
            priority: route.priority,
            table: way.table.filter(|&table| table != route.table_number)?,
        }))
    });
    match translation {
        Some(translation) => vec![Remedy::RouteAndTranslate(route(Some(way)), translation)],
        None => std::iter::once(Remedy::Route(route(Some(way))))
            .chain(out)
            .collect(),
    }
}

/// Nothing reaches the destination from where it belongs: somebody has to decide whether this rule allows it to leave where it left.
pub(super) fn undecided(finding: &Finding, row: &Row, rule: Option<Arc<str>>) -> Remedy {
    Remedy::Decide {
        to: destination_address(finding),
        home: home(finding, row),
        allow: rule.map(|rule| (rule, egress(finding))),
    }
}

/// The same, where an interface is known where it belongs and that reaches its destination.
pub(in crate::findings) fn reached_home(finding: &Finding, row: &Row) -> Option<Vec<Remedy>> {
    matches!(reached(finding), Reached::By(_)).then(|| route_home(finding, row))
}

/// The same of what a route led elsewhere although its socket is bound: to a VRF, whose routes are asked.
pub(in crate::findings) fn routed_home(finding: &Finding, row: &Row) -> Vec<Remedy> {
    match route_taken(finding) {
        Some(_) => route_home(finding, row),
        None => Vec::new(),
    }
}

/// The packets of a finding, as NAT is to change them where they left: those with the source that they had before it changed them.
pub(super) fn translation(finding: &Finding) -> Translation {
    let flow = finding.flow.map(|flow| flow.source.address);
    let mut is_changed = finding.ways.chosen_by == ChosenBy::Nat;
    let before = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Translated { source, .. } => *source,
        CauseKind::Forwarded {
            is_translated: true,
            source,
            ..
        } => {
            is_changed = true;
            *source
        }
        _ => None,
    });
    Translation {
        source: before.or(flow.filter(|_| !is_changed)),
        is_ipv6: flow.is_some_and(|flow| flow.is_ipv6()),
        egress: egress(finding),
    }
}

/// The route that it took, where that is named.
pub(super) fn route_taken(finding: &Finding) -> Option<&Route> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Route(route) => Some(route),
        _ => None,
    })
}
