//! Why a packet left where it left, as far as the state of the machine shows it at the first sighting.

use std::net::IpAddr;

use pinif_ebpf::{key::IfIndex, packet::protocol, sighting::Origin, subject::Subject};

use super::{
    decode::{Requested, Sighted, Subflow},
    explain::{Cause, CauseKind, Route, SubflowBy},
    kinds::Row,
    scene::{LookUp, Scene},
    subject::{self, KernelPacket},
};
use crate::host::{
    links::Link,
    routes::{Choice, RouteQuery, RouteType},
};

/// Causes by who sent it: of the kinds whose traffic was not bound to where it belongs. The first in the chain of events is
/// first; there is none where the machine does not show any.
pub(super) fn by_origin(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Cause> {
    match sighted.origin {
        Origin::None => without_socket(sighted, scene, look_up),
        Origin::Kernel => {
            let mut causes = vec![Cause::certain(CauseKind::Kernel(of_kernel(sighted)))];
            causes.extend(links_down(sighted, scene));
            causes.extend(route(sighted, scene, look_up));
            causes
        }
        Origin::Process => by_process(row, sighted, scene, look_up),
    }
}

fn without_socket(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    let local = sighted.headers.is_some_and(|headers| {
        scene
            .network
            .addresses
            .iter()
            .any(|local| local.address == headers.source)
    });
    if local && let Some(from) = sighted.arrived.filter(|from| !is_own_leg(scene, *from)) {
        let mut causes = vec![Cause::likely(CauseKind::Forwarded {
            from: Some((scene.name)(from)),
            is_translated: true,
        })];
        causes.extend(links_down(sighted, scene));
        causes.extend(route_before_translation(sighted, from, scene, look_up));
        return causes;
    }
    if local {
        // Of what the kernel answers by itself, some has no socket: the RST of TCP over IPv6 (`tcp_v6_send_reset`). It follows
        // the routing tables, which a copy does not.
        return match route_taken(sighted, scene, look_up) {
            Ok(route) => vec![Cause::likely(CauseKind::Kernel(of_kernel(sighted))), route],
            Err(_) => vec![Cause::likely(CauseKind::Mirror)],
        };
    }
    let from = sighted.arrived.map(|arrived| (scene.name)(arrived));
    let mut causes = vec![Cause::certain(CauseKind::Forwarded {
        from,
        is_translated: false,
    })];
    // What was bridged, or came from another namespace, was not routed here.
    if sighted.arrived.is_some() {
        causes.extend(links_down(sighted, scene));
        causes.extend(route_taken(sighted, scene, look_up).ok());
    }
    causes
}

/// Whether what comes in by an interface may be this namespace's own: the other end of a pair is in it too.
fn is_own_leg(scene: &Scene<'_>, interface: IfIndex) -> bool {
    let link = scene.network.links.get(interface);
    link.is_none_or(|link| link.peer.is_some())
}

/// The route that a packet was forwarded by whose source was translated since then. Its own source is not known: one of those that
/// come in by the interface stands in for it, and that is no proof where a rule asks for the source.
fn route_before_translation(
    sighted: &Sighted,
    from: IfIndex,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Cause> {
    let headers = sighted.headers?;
    let query = RouteQuery {
        source: Some(another_host(scene, from, headers.destination)?),
        input: Some(from),
        mark: sighted.mark,
        protocol: Some(headers.protocol),
        ..RouteQuery::to(headers.destination)
    };
    let choice = look_up(&query).ok()?;
    leads_out(&choice, sighted.egress).then(|| {
        let route = described(&choice, sighted.egress, scene);
        Cause::likely(CauseKind::Route(route))
    })
}

/// An address that another host on an interface's network may have, of the family of this one.
fn another_host(scene: &Scene<'_>, interface: IfIndex, family: IpAddr) -> Option<IpAddr> {
    let addresses = &scene.network.addresses;
    let is_own = |address: &IpAddr| addresses.iter().any(|own| own.address == *address);
    addresses
        .of(interface)
        .filter(|own| own.address.is_ipv4() == family.is_ipv4())
        .filter_map(|own| ipnet::IpNet::new(own.address, own.prefix_len).ok())
        .find_map(|network| network.hosts().take(16).find(|host| !is_own(host)))
}

/// What the kernel itself sent.
fn of_kernel(sighted: &Sighted) -> KernelPacket {
    if let Subject::Kernel { what, .. } = sighted.subject {
        return subject::of_kernel(what).0;
    }
    match sighted.headers.map(|headers| headers.protocol) {
        Some(protocol::TCP) => KernelPacket::TcpReset,
        Some(protocol::ICMP | protocol::ICMPV6) => KernelPacket::Icmp,
        Some(_) => KernelPacket::Other,
        None => KernelPacket::NotIp,
    }
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
        causes.extend(links_down(sighted, scene));
        causes.extend(route(sighted, scene, look_up));
    }
    causes
}

/// What let the kernel make the subflow of Multipath TCP that sent it.
pub(super) fn subflow(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let headers = sighted.headers;
    Some(Cause::certain(CauseKind::Subflow(
        match sighted.subflow? {
            Subflow::ByDevice => SubflowBy::Device((scene.name)(sighted.egress)),
            Subflow::Announced => SubflowBy::Announced(headers.map(|headers| headers.destination)),
            Subflow::Other => SubflowBy::Endpoint(headers.map(|headers| headers.source)),
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

/// The interfaces that the traffic should have left via, and that are down or gone.
fn links_down(sighted: &Sighted, scene: &Scene<'_>) -> Vec<Cause> {
    let by_rule = sighted.kind.row().is_of_rule;
    let meant: Vec<&Link> = if by_rule {
        scene.allowed(sighted)
    } else {
        let owner = sighted.source_owner;
        owner
            .and_then(|owner| scene.network.links.get(owner))
            .into_iter()
            .collect()
    };
    // One that went down loses its routes before rtnetlink reports it.
    let runs = |link: &&&Link| link.up && link.running && (scene.runs)(&link.name).unwrap_or(true);
    let (up, down): (Vec<&Link>, Vec<&Link>) = meant.iter().partition(runs);
    let none_runs = up.is_empty();
    let down = down
        .into_iter()
        .filter(|link| none_runs || reaches(sighted, scene, link.index))
        .map(|link| Cause::certain(CauseKind::LinkDown(link.name.clone())));
    let gone = scene
        .gone
        .iter()
        .filter(|name| none_runs && by_rule && scene.allows(sighted, name));
    down.chain(gone.map(|name| Cause::certain(CauseKind::LinkGone(name.clone()))))
        .collect()
}

/// Whether the destination is a neighbour on an interface.
fn reaches(sighted: &Sighted, scene: &Scene<'_>, interface: IfIndex) -> bool {
    sighted
        .headers
        .is_some_and(|headers| is_neighbour(scene, interface, headers.destination))
}

/// Whether an address is in a network of an interface.
pub(super) fn is_neighbour(scene: &Scene<'_>, interface: IfIndex, address: IpAddr) -> bool {
    scene.network.addresses.of(interface).any(|local| {
        ipnet::IpNet::new(local.address, local.prefix_len)
            .is_ok_and(|network| network.contains(&address))
    })
}

/// The VRF device that the socket is bound to.
pub(super) fn bound_vrf<'a>(sighted: &Sighted, scene: &'a Scene<'_>) -> Option<&'a Link> {
    let link = scene.network.links.get(sighted.bound?)?;
    link.vrf_table.is_some().then_some(link)
}

/// The route that the kernel has for this packet now, if it explains where the packet left; else, that it does not.
fn route(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Option<Cause> {
    let routed = match route_taken(sighted, scene, look_up) {
        Ok(cause) => return Some(cause),
        Err(routed) => routed,
    };
    // What the kernel sends by itself names the interface where it must, which is no mistake of anybody's. And a link
    // that is down took its routes along, which may have come back by now.
    if sighted.origin != Origin::Process || !links_down(sighted, scene).is_empty() {
        return None;
    }
    let headers = sighted.headers?;
    let how = match headers.destination {
        IpAddr::V4(address) if address.is_multicast() => "IP_MULTICAST_IF",
        IpAddr::V6(address) if address.is_multicast() => "IPV6_MULTICAST_IF or sin6_scope_id",
        IpAddr::V4(_) => "IP_PKTINFO or IP_UNICAST_IF",
        IpAddr::V6(address) if address.is_unicast_link_local() => "sin6_scope_id",
        IpAddr::V6(_) => "IPV6_PKTINFO or IPV6_UNICAST_IF",
    };
    Some(Cause::likely(CauseKind::Named {
        how,
        interface: (scene.name)(sighted.egress),
        routed: routed.map(scene.name),
    }))
}

/// The route by which the packet left, if there is one now; else where the kernel would send it.
fn route_taken(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Result<Cause, Option<IfIndex>> {
    let mut routed = None;
    for query in questions(sighted, scene) {
        let Ok(choice) = look_up(&query) else {
            continue;
        };
        if leads_out(&choice, sighted.egress) {
            let route = described(&choice, sighted.egress, scene);
            return Ok(Cause::certain(CauseKind::Route(route)));
        }
        routed = routed.or(choice.route.output);
    }
    Err(routed)
}

/// What the kernel asked its tables for this packet, the likeliest first.
///
/// A socket without an address asks without a source, and is given one by the route; TCP over IPv4 asks again with it
/// (`ip_route_connect`), and so does what was sent on a connected socket.
pub(super) fn questions(sighted: &Sighted, scene: &Scene<'_>) -> Vec<RouteQuery> {
    let Some(headers) = sighted.headers else {
        return Vec::new();
    };
    let forwarded = sighted.arrived.filter(|_| sighted.origin == Origin::None);
    let with = RouteQuery {
        source: Some(headers.source),
        // What is bound to another interface goes by that, whatever the tables say.
        output: bound_vrf(sighted, scene).map(|vrf| vrf.index),
        input: forwarded,
        mark: sighted.mark,
        uid: sighted.owner.as_ref().map(|owner| owner.uid),
        protocol: Some(headers.protocol),
        source_port: headers.source_port,
        destination_port: headers.destination_port,
        ..RouteQuery::to(headers.destination)
    };
    if forwarded.is_some() || sighted.bound_address.is_some() {
        return vec![with];
    }
    let without = RouteQuery {
        source: None,
        ..with.clone()
    };
    let asks_again = headers.destination.is_ipv4() && headers.protocol == protocol::TCP;
    if asks_again || sighted.origin == Origin::Kernel {
        vec![with, without]
    } else {
        vec![without, with]
    }
}

/// Whether a route leads out by an interface; one to the host's own address names it, and leads to `lo`.
pub(super) fn leads_out(choice: &Choice, interface: IfIndex) -> bool {
    choice.route.kind != RouteType::Local && choice.route.way_by(interface).is_some()
}

/// A route's next hop via an interface, in words.
pub(super) fn described(choice: &Choice, interface: IfIndex, scene: &Scene<'_>) -> Route {
    let mut choice = choice.clone();
    if let Some(way) = choice.route.way_by(interface) {
        choice.route.gateway = way.gateway;
        choice.route.output = way.output;
    }
    Route {
        device: Some((scene.name)(interface)),
        ..Route::chosen(&choice, &scene.network.links)
    }
}
