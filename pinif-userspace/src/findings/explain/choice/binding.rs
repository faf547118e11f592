//! The remedies that bind a socket to a device: `pinif run` for whoever runs the host, the option for whoever changes the program.

use std::sync::Arc;

use pinif_ebpf::packet::protocol;

use super::{
    egress,
    facts::{
        Reached, demands_device, has_no_way, home, home_that_reaches, keeps_foreign_source,
        may_be_named, reached,
    },
    routes::route_home,
};
use crate::findings::{
    explain::{Cause, CauseKind, Home, Meets, Remedy, ServicePin, phrases::packet_info},
    finding::Finding,
    kinds::Row,
    ways::Way,
};

/// What a socket lacks that is to be pinned.
pub(in crate::findings) fn unpinned(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let foreign = match reached(finding) {
        Reached::Nowhere => return route_home(finding, row),
        Reached::By(way) => keeps_foreign_source(finding, &way).then_some(way),
        Reached::Unknown => None,
    };
    if let Some(way) = foreign {
        return vec![with_source(finding, &way)];
    }
    let mut all: Vec<Remedy> = run_home(finding).into_iter().collect();
    all.push(bind(finding, row));
    all
}

/// Of a socket that is to be pinned, and that has another interface's address: to the interface that has it, or to the one where it left,
/// with an address of that.
pub(super) fn bound_as_a_whole(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let mut all: Vec<Remedy> = run_home(finding).into_iter().collect();
    all.extend(bound_home(finding, row));
    all.extend(finding.ways.source.map(|address| Remedy::BindBoth {
        device: egress(finding),
        address,
    }));
    all
}

/// Device and address of one interface.
fn with_source(finding: &Finding, way: &Way) -> Remedy {
    let device = way.interface.clone();
    match way.source.or(finding.ways.source) {
        Some(address) => Remedy::BindBoth { device, address },
        None => Remedy::Bind(Home::of(&device)),
    }
}

/// Of a group whose interface the program's address chose, where a rule demands a device: both of where it belongs.
pub(super) fn picked(finding: &Finding, row: &Row, way: &Way) -> Option<Remedy> {
    demands_device(finding, row).then(|| with_source(finding, way))
}

/// Of a socket that was bound to another device before; nothing where the one that it belongs to does not reach the destination.
pub(super) fn bound_once(finding: &Finding, row: &Row) -> Option<Vec<Remedy>> {
    if has_no_way(finding) {
        return None;
    }
    let mut all: Vec<Remedy> = refused(finding).into_iter().collect();
    all.push(Remedy::BindOnce(home_that_reaches(finding, row)));
    Some(all)
}

/// Of a socket that is bound to a device that its rule does not allow: to another, with an address of that where the program has bound
/// it to one of elsewhere.
pub(in crate::findings) fn bound_instead(
    finding: &Finding,
    row: &Row,
    bound: &Arc<str>,
) -> Vec<Remedy> {
    let way = match reached(finding) {
        Reached::By(way) if !way.holds => return Vec::new(),
        Reached::By(way) => Some(way),
        Reached::Unknown | Reached::Nowhere => None,
    };
    let foreign = way.filter(|way| keeps_foreign_source(finding, way));
    let mut all: Vec<Remedy> = refused(finding).into_iter().collect();
    all.push(Remedy::BindInstead {
        home: match &foreign {
            Some(way) => Home::of(&way.interface),
            None => home(finding, row),
        },
        address: foreign.and_then(|way| way.source),
        bound: Arc::clone(bound),
        egress: egress(finding),
    });
    all
}

/// What holds a program that binds its sockets otherwise, where the interface reaches the destination.
fn refused(finding: &Finding) -> Option<Remedy> {
    home_that_holds(finding).map(|home| held_to(finding, home, Meets::Refused))
}

/// What holds a program to an interface, where that reaches the destination.
pub(super) fn run_home(finding: &Finding) -> Option<Remedy> {
    let meets = may_be_named(finding).map_or(Meets::Nothing, Meets::of);
    home_that_holds(finding).map(|home| held_to(finding, home, meets))
}

fn home_that_holds(finding: &Finding) -> Option<Arc<str>> {
    match reached(finding) {
        Reached::By(way) if way.holds && !keeps_foreign_source(finding, &way) => {
            Some(way.interface)
        }
        _ => None,
    }
}

/// What holds a program to an interface: `pinif run`, or, of a service that runs, `pinif pin`.
pub(in crate::findings) fn held_to(finding: &Finding, interface: Arc<str>, meets: Meets) -> Remedy {
    let process = finding.process.as_deref();
    match ServicePin::of(process, &interface, meets) {
        Some(pin) => Remedy::PinService(pin),
        None => Remedy::RunBy { interface, meets },
    }
}

/// Bind it where it belongs, and let it name no other interface where it may have named one.
fn bind(finding: &Finding, row: &Row) -> Remedy {
    let home = home_that_reaches(finding, row);
    match may_be_named(finding) {
        Some(how) => Remedy::BindAndNameNoOther(home, how),
        None => Remedy::Bind(home),
    }
}

/// The bound device, where it reaches the destination, or nothing is known of that.
pub(super) fn bound_home(finding: &Finding, row: &Row) -> Option<Remedy> {
    match reached(finding) {
        Reached::By(way) if !way.holds || keeps_foreign_source(finding, &way) => None,
        Reached::By(_) | Reached::Unknown => Some(bind(finding, row)),
        Reached::Nowhere => None,
    }
}

/// The bound device, where the program may have named an interface with what it sends, or a rule by its source did: both end by that.
pub(super) fn named_no_other(finding: &Finding) -> Option<Remedy> {
    let is_likely = |cause: &Cause| !cause.certain && matches!(cause.kind, CauseKind::Route(_));
    let is_datagram = finding
        .flow
        .is_some_and(|flow| flow.protocol == protocol::UDP);
    match reached(finding) {
        Reached::By(way)
            if way.holds
                && is_datagram
                && keeps_foreign_source(finding, &way)
                && (finding.causes.iter().any(is_likely) || finding.ways.may_be_named) =>
        {
            let home = Home::of(&way.interface);
            let info = packet_info(finding);
            Some(Remedy::BindAndNameNoOther(home, info.name()))
        }
        _ => None,
    }
}
