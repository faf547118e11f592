//! What is known of the route that encapsulated a packet, and the remedy that changes it.

use std::{net::IpAddr, sync::Arc};

use crate::findings::{
    explain::{CauseKind, NewRoute, OuterSource, Remedy, Route},
    finding::Finding,
};

/// An address of an interface for what a route encapsulated, once a route leads it there; nothing where no route did, or that has the interface.
pub(super) fn outer_source(
    finding: &Finding,
    first: Option<NewRoute>,
    interface: Arc<str>,
    source: IpAddr,
) -> Option<Remedy> {
    let (route, is_set) = encapsulating(finding)?;
    let has_own = route.gives_source();
    let is_other = is_set || has_own || route.device.as_deref() != Some(&*interface);
    is_other.then(|| {
        Remedy::OuterSource(OuterSource {
            first: first.map(Box::new),
            route: route.clone(),
            interface,
            set: is_set.then_some(source),
        })
    })
}

/// Whether a route led it elsewhere by a header, and the program gave it its source by `bind()`, as which it stays.
pub(super) fn is_bound_by_program(finding: &Finding) -> bool {
    let source = finding.flow.map(|flow| flow.source.address);
    let is_by_header = is_led_by_header(finding);
    is_by_header && finding.bound_address.is_some() && finding.bound_address == source
}

/// Whether a route led it, or may have led it, elsewhere by a header.
pub(super) fn is_led_by_header(finding: &Finding) -> bool {
    encapsulating(finding).is_some_and(|(route, _)| route.keeps_source())
}

/// The route that encapsulated it, where the finding is of the packet inside: the outer one goes elsewhere than the route is for.
pub(super) fn inside(finding: &Finding) -> Option<&Route> {
    let to = finding.flow?.destination.address;
    let (route, _) = encapsulating(finding)?;
    let is_inside = !route.keeps_source() && route.prefix.contains(&to);
    is_inside.then_some(route)
}

/// The route that encapsulated it, and whether its source is one that is set for all.
pub(super) fn encapsulating(finding: &Finding) -> Option<(&Route, bool)> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Encapsulated { route, is_set } => Some((route, *is_set)),
        _ => None,
    })
}
