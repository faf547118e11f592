//! Why a packet left where it left, as far as the state of the machine shows it at the first sighting.

mod answers;
mod encapsulation;
mod kernel;
mod links;
mod nat;
mod nft;
mod offers;
mod others;
mod passage;
mod reach;
mod routing;
mod source;
mod tunnel;

use std::net::IpAddr;

use pinif_ebpf::{key::IfIndex, sighting::Origin, subject::Subject};

use super::{
    decode::{Requested, Sighted, Subflow},
    explain::{Cause, CauseKind, SubflowBy},
    kinds::Row,
    scene::{LookUp, Scene},
};
use crate::host::mptcp::Endpoint;
use routing::{route, route_before_translation, route_taken};

pub(super) use encapsulation::encapsulated;
pub(super) use links::{bound_vrf, is_neighbour, links_down};
pub(super) use nft::mirror;
pub(crate) use nft::with_rules;
pub(super) use offers::offers;
pub(super) use others::others;
pub(crate) use passage::{Changed, Passages};
pub(super) use routing::{described, leads_out, questions};

/// Causes by who sent it: of the kinds whose traffic was not bound to where it belongs. The first in the chain of events is
/// first; there is none where the machine does not show any.
pub(super) fn by_origin(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Cause> {
    let by_route = encapsulated(sighted, scene, look_up);
    if let Some(causes) = by_route.or_else(|| encapsulation::inside(sighted, scene, look_up)) {
        return causes;
    }
    match sighted.origin {
        Origin::None => without_socket(row, sighted, scene, look_up),
        Origin::Kernel => kernel::causes(row, sighted, scene, look_up),
        Origin::Process => by_process(row, sighted, scene, look_up),
    }
}

fn without_socket(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Cause> {
    // What the kernel sends by itself may have no socket, and may not follow the tables: reports of groups do not.
    if let Subject::Kernel { what, .. } = sighted.subject
        && kernel::follows_no_route(what)
    {
        return kernel::causes(row, sighted, scene, look_up);
    }
    let local = sighted.headers.is_some_and(|headers| {
        scene
            .network
            .addresses
            .iter()
            .any(|local| local.address == headers.source)
    });
    if local && let Some(from) = sighted.arrived.filter(|from| !is_own_leg(scene, *from)) {
        let before = nat::before(sighted, scene);
        let kind = CauseKind::Forwarded {
            from: Some((scene.name)(from)),
            is_translated: true,
            source: before.map(|before| before.source),
        };
        let mut causes = vec![match before {
            Some(_) => Cause::certain(kind),
            None => Cause::likely(kind),
        }];
        let route = match before {
            Some(_) => route_taken(sighted, scene, look_up)
                .ok()
                .unwrap_or_default(),
            None => route_before_translation(sighted, from, scene, look_up)
                .into_iter()
                .collect(),
        };
        causes.extend(links_down(sighted, scene, &route));
        causes.extend(route);
        return causes;
    }
    if local {
        // Of what the kernel answers by itself, some has no socket: the RST of TCP over IPv6 (`tcp_v6_send_reset`). It follows
        // the routing tables, which a copy does not.
        return match route_taken(sighted, scene, look_up) {
            Ok(route) => {
                let mut causes = kernel::what(sighted, scene);
                causes.iter_mut().for_each(|cause| cause.certain = false);
                causes.extend(route);
                causes
            }
            Err(_) => vec![mirror(sighted.egress, &(scene.nft)(), false)],
        };
    }
    // What no interface here took in was not routed here.
    let Some(from) = sighted.arrived else {
        let egress = (scene.name)(sighted.egress);
        return vec![Cause::likely(CauseKind::FromAbove(egress))];
    };
    let mut causes = vec![Cause::certain(CauseKind::Forwarded {
        from: Some((scene.name)(from)),
        is_translated: false,
        source: None,
    })];
    let route = if is_to_group(sighted) {
        let is_ipv6 = (sighted.headers).is_some_and(|headers| headers.destination.is_ipv6());
        vec![Cause::likely(CauseKind::MulticastRoute { is_ipv6 })]
    } else {
        let route = route_taken(sighted, scene, look_up);
        route.ok().unwrap_or_default()
    };
    causes.extend(links_down(sighted, scene, &route));
    causes.extend(route);
    causes
}

/// Whether a packet goes to a group.
fn is_to_group(sighted: &Sighted) -> bool {
    sighted
        .headers
        .is_some_and(|headers| headers.destination.is_multicast())
}

/// Whether what comes in by an interface may be this namespace's own: the other end of a pair is in it too.
fn is_own_leg(scene: &Scene<'_>, interface: IfIndex) -> bool {
    let link = scene.network.links.get(interface);
    link.is_none_or(|link| link.peer.is_some())
}

fn by_process(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Cause> {
    if sighted.family == libc::AF_PACKET {
        return vec![Cause::certain(CauseKind::PacketSocket)];
    }
    let mut causes: Vec<Cause> = subflow(sighted, scene)
        .or_else(|| pinning(row, sighted, scene))
        .into_iter()
        .collect();
    // What is bound to a VRF goes where the VRF's table leads.
    if sighted.bound.is_none() || bound_vrf(sighted, scene).is_some() {
        let route = route(sighted, scene, look_up);
        let is_named = route
            .iter()
            .any(|cause| cause.certain && matches!(cause.kind, CauseKind::Named { .. }));
        // What names an interface leaves by it, whichever others carry nothing.
        if !is_named {
            causes.extend(links_down(sighted, scene, &route));
        }
        let chosen = source::chosen(row, sighted, scene, look_up);
        let by_header = encapsulation::may_be_led(sighted, scene);
        causes.extend(by_header.filter(|_| !is_named && chosen.is_empty()));
        causes.extend(chosen);
        causes.extend(route);
    }
    causes
}

/// What let the kernel make the subflow of Multipath TCP that sent it.
pub(super) fn subflow(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let headers = sighted.headers;
    // The number of the endpoint that has the subflow's address.
    let endpoint = |is: &dyn Fn(&Endpoint) -> bool| {
        let has = |endpoint: &Endpoint| headers.is_some_and(|to| to.source == endpoint.address);
        let all = (scene.endpoints)();
        let mut fits = all.iter().filter(|one| has(one) && is(one));
        fits.next().map(|endpoint| endpoint.id)
    };
    Some(Cause::certain(CauseKind::Subflow(
        match sighted.subflow? {
            Subflow::ByDevice => SubflowBy::Device(
                (scene.name)(sighted.egress),
                endpoint(&|endpoint| endpoint.interface == Some(sighted.egress)),
            ),
            Subflow::Announced => SubflowBy::Announced(headers.map(|headers| headers.destination)),
            Subflow::Other => SubflowBy::Endpoint(
                headers.map(|headers| headers.source),
                endpoint(&|endpoint| endpoint.interface.is_none()),
            ),
        },
    )))
}

/// What became of the socket's bound device.
fn pinning(row: &Row, sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let name = |index: IfIndex| (scene.name)(index);
    if let Some(bound) = sighted.bound {
        return Some(Cause::certain(match sighted.previous_bound {
            Some(before) => CauseKind::Rebound {
                from: Some(name(before)),
                to: Some(name(bound)),
            },
            None => CauseKind::Bound(name(bound)),
        }));
    }
    if let Some(before) = sighted.previous_bound {
        return Some(Cause::certain(CauseKind::Rebound {
            from: Some(name(before)),
            to: None,
        }));
    }
    match &sighted.requested {
        Some(Requested::Name(device)) => Some(match device.parse::<IpAddr>() {
            Ok(address) => Cause::certain(CauseKind::AddressForDevice(address)),
            Err(_) => {
                let there = scene.network.links.by_name(device).is_some();
                refused(device.clone(), there)
            }
        }),
        Some(Requested::Index(index)) => {
            let there = scene.network.links.get(*index).is_some();
            Some(refused(name(*index), there))
        }
        // An address was chosen, or a rule does not demand more: that no device was asked for is no cause then.
        Some(Requested::Nothing) | None if !row.demands_device => None,
        Some(Requested::Nothing) => Some(Cause::likely(CauseKind::Rebound {
            from: None,
            to: None,
        })),
        None if sighted.born => Some(Cause::certain(CauseKind::NeverPinned)),
        None => Some(Cause::likely(CauseKind::NeverPinned)),
    }
}

/// A device was asked for, and the socket has none: the hook saw the call, not its outcome.
fn refused(device: String, there: bool) -> Cause {
    // Where the device is there, binding fails for want of CAP_NET_RAW only (`sock_bindtoindex_locked`).
    let error = if there { "EPERM" } else { "ENODEV" };
    Cause::likely(CauseKind::BindRefused { device, error })
}
