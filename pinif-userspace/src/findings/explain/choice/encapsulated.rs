//! The remedies of what a route encapsulates. NAT has no say in where it goes, and what its socket is bound to has none either: it is routed anew
//! by the first segment, or the end of the tunnel.

use std::sync::Arc;

use super::{
    binding::{held_to, unpinned},
    egress,
    encapsulation::{encapsulating, inside, is_bound_by_program, outer_source},
    facts::{Reached, demands_device, is_of_address, is_owned, keeps_foreign_source, reached},
    home,
    leaving::use_source,
    routes::{route_home, undecided},
};
use crate::findings::{
    explain::{Meets, OuterSource, Remedy, Route, phrases::destination_address},
    finding::Finding,
    kinds::Row,
};

/// Where it has an address of elsewhere, it gets one of the interface where it leaves; else, or where it is reached from where the address belongs,
/// a route.
pub(super) fn encapsulated(finding: &Finding, row: &Row) -> Vec<Remedy> {
    if let Some(route) = inside(finding) {
        return vec![not_encapsulated(finding, row, route)];
    }
    if demands_device(finding, row) && is_owned(finding) {
        return unpinned(finding, row);
    }
    let is_of_address = is_of_address(finding);
    let mut all = Vec::new();
    if is_of_address && is_bound_by_program(finding) {
        all.extend(use_source(finding));
    } else if is_of_address {
        let source = finding.ways.source;
        all.extend(source.and_then(|source| outer_source(finding, None, egress(finding), source)));
    }
    all.extend(route_home(finding, row));
    if all.is_empty() {
        all.push(undecided(finding, row, None));
    }
    all
}

/// No route to the destination, and no bound device, leads home what leaves by the header before it: somebody has to decide.
fn not_encapsulated(finding: &Finding, row: &Row, route: &Route) -> Remedy {
    let rule = finding.place.rule.as_ref();
    Remedy::NotEncapsulated {
        to: destination_address(finding),
        route: route.prefix,
        home: home(finding, row),
        egress: egress(finding),
        rule: rule.and_then(|rule| rule.name.clone()),
    }
}

/// Of what must be bound as well: the routes that lead it home from there, and then what binds it; nothing where these lead there. A bound
/// socket follows no route by another interface to what encapsulates (`ip6_route_output_flags`).
pub(super) fn bound_to_follow(finding: &Finding, row: &Row) -> Option<Vec<Remedy>> {
    let is_to_be_bound =
        is_owned(finding) && demands_device(finding, row) && inside(finding).is_none();
    let (route, is_set) = encapsulating(finding).filter(|_| is_to_be_bound)?;
    let is_of_address = is_of_address(finding);
    let way = match reached(finding) {
        Reached::By(way) => Some(way),
        Reached::Unknown | Reached::Nowhere => None,
    };
    let interface = match &way {
        _ if is_of_address => egress(finding),
        Some(way) => Arc::clone(&way.interface),
        None => return None,
    };
    let mut parts = Vec::new();
    if egress(finding) != interface {
        let mut routes = route_home(finding, row).into_iter();
        let first = routes.find_map(|remedy| match remedy {
            Remedy::Route(route) => Some(route),
            Remedy::OuterSource(OuterSource { first, .. }) => first.map(|first| *first),
            _ => None,
        });
        parts.push(Remedy::Route(first?));
    }
    let source = finding.ways.source;
    let own = way.as_ref().map_or(source, |way| way.source);
    let by = |set| {
        Remedy::OuterSource(OuterSource {
            first: None,
            route: route.clone(),
            interface: Arc::clone(&interface),
            set,
        })
    };
    if route.device.as_deref() != Some(&*interface) {
        parts.push(by(None));
    }
    let is_foreign = way.is_some_and(|way| keeps_foreign_source(finding, &way));
    if is_set && (is_of_address || is_foreign) {
        parts.push(by(Some(own?)));
    }
    if parts.is_empty() {
        return None;
    }
    parts.push(held_to(finding, interface, Meets::Nothing));
    Some(vec![Remedy::Together(parts)])
}
