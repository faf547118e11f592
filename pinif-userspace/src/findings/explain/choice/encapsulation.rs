//! The remedy of an outer packet, whose source its program and NAT have no say in.

use std::{net::IpAddr, sync::Arc};

use crate::findings::{
    explain::{CauseKind, NewRoute, OuterSource, Remedy},
    finding::Finding,
};

/// An address of an interface for what a route encapsulated, once a route leads it there; nothing where no route did, or that has the interface.
pub(super) fn outer_source(
    finding: &Finding,
    first: Option<NewRoute>,
    interface: Arc<str>,
    source: IpAddr,
) -> Option<Remedy> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Encapsulated { route, is_set }
            if *is_set || route.device.as_deref() != Some(&*interface) =>
        {
            Some(Remedy::OuterSource(OuterSource {
                first: first.clone().map(Box::new),
                route: route.clone(),
                interface: Arc::clone(&interface),
                set: is_set.then_some(source),
            }))
        }
        _ => None,
    })
}
