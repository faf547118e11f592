//! Why a packet left where it left, as far as the state of the machine tells it at the first sighting.

mod arrival;

use std::net::IpAddr;

use pinif_ebpf::{key::IfIndex, packet::protocol, sighting::Origin, verdict::Kind};

use super::{
    decode::{Requested, Sighted},
    explain::{Cause, CauseKind, Route},
};
use crate::{
    host::{
        entrance::Entrance,
        links::Link,
        network::Network,
        routes::{RouteError, RouteQuery},
    },
    policy::Policy,
};

/// The kernel's answer to where a packet would go.
pub type LookUp<'a> = dyn FnMut(&RouteQuery) -> Result<crate::host::routes::Route, RouteError> + 'a;

/// What the causes of a finding are looked for in.
pub struct Scene<'a> {
    /// The namespace's name.
    pub netns: &'a str,
    /// The namespace's interfaces and addresses.
    pub network: &'a Network,
    /// The policy that the packet was judged by.
    pub policy: &'a Policy,
    /// The name of an interface of the namespace, also of one that is gone.
    pub name: &'a dyn Fn(IfIndex) -> String,
    /// What the kernel lets in by an interface of this name.
    pub entrance: &'a dyn Fn(&str) -> Option<Entrance>,
}

impl Scene<'_> {
    /// The interfaces of the zones that the rule allows which decided, if one did.
    pub fn allowed(&self, sighted: &Sighted) -> Vec<&Link> {
        let Some(rule) = sighted.rule.and_then(|rule| self.policy.rules.get(rule)) else {
            return Vec::new();
        };
        let links = self.network.links.iter();
        links
            .filter(|link| {
                let zones = self.policy.zones_of(&link.name);
                rule.only_via.iter().any(|&zone| zones.contains(zone))
            })
            .collect()
    }
}

/// The causes of a finding, the first in the chain of events first; none where the machine tells nothing.
pub fn causes(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    match sighted.kind {
        Kind::DeviceEscape => vec![override_of(sighted, scene)],
        Kind::CopyEscape => vec![Cause::certain(CauseKind::Mirror)],
        Kind::CrossedBind => crossed(sighted, scene),
        Kind::AddressEscape | Kind::PolicyEscape | Kind::Unpinned => {
            by_origin(sighted, scene, look_up)
        }
        Kind::IngressEscape => arrival::causes(sighted, scene, look_up),
        Kind::Unaudited => Vec::new(),
    }
}

/// How a socket's packet can leave by another device than the one that it is bound to.
fn override_of(sighted: &Sighted, scene: &Scene<'_>) -> Cause {
    if sighted.family == libc::AF_PACKET {
        return Cause::certain(CauseKind::PacketSocket);
    }
    let Some(headers) = sighted.headers else {
        return Cause::certain(CauseKind::Unknown);
    };
    // A TCP socket takes no interface with a message, nor does the kernel let it keep a route through another device.
    if headers.protocol == protocol::TCP {
        return Cause::likely(CauseKind::Mirror);
    }
    match headers.destination {
        IpAddr::V4(_) => {
            // With `ipi_ifindex` the kernel chooses a source address of that interface, unless the socket has its own.
            let of_egress = scene.network.sole_owner(headers.source) == Some(sighted.egress);
            if of_egress && sighted.bound_address.is_none() {
                Cause::certain(CauseKind::PktinfoOverride)
            } else if sighted.bound_address.is_some() {
                Cause::likely(CauseKind::PktinfoOverride)
            } else {
                Cause::likely(CauseKind::Mirror)
            }
        }
        IpAddr::V6(address) if address.is_multicast() || address.is_unicast_link_local() => {
            Cause::certain(CauseKind::ScopeOverride)
        }
        IpAddr::V6(_) => Cause::likely(CauseKind::Mirror),
    }
}

/// Bound to one interface's address and to another device, by two calls that both succeeded.
fn crossed(sighted: &Sighted, scene: &Scene<'_>) -> Vec<Cause> {
    let owner = sighted
        .bound_address
        .and_then(|address| scene.network.sole_owner(address));
    match (sighted.bound_address, owner, sighted.bound) {
        (Some(address), Some(owner), Some(bound)) => vec![Cause::certain(CauseKind::Crossed {
            address: address.to_string(),
            owner: (scene.name)(owner),
            device: (scene.name)(bound),
        })],
        _ => Vec::new(),
    }
}

fn by_origin(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    match sighted.origin {
        Origin::None => vec![without_socket(sighted, scene)],
        Origin::Kernel => {
            let mut causes = vec![Cause::certain(CauseKind::KernelReply)];
            causes.extend(links_down(sighted, scene));
            causes.extend(route(sighted, scene, look_up));
            causes
        }
        Origin::Process => by_process(sighted, scene, look_up),
    }
}

fn without_socket(sighted: &Sighted, scene: &Scene<'_>) -> Cause {
    let local = sighted.headers.is_some_and(|headers| {
        scene
            .network
            .addresses
            .iter()
            .any(|local| local.address == headers.source)
    });
    if local {
        return Cause::likely(CauseKind::Mirror);
    }
    let from = sighted.arrived.map(|arrived| (scene.name)(arrived));
    Cause::certain(CauseKind::Forwarded { from })
}

fn by_process(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    if sighted.family == libc::AF_PACKET {
        return vec![Cause::certain(CauseKind::PacketSocket)];
    }
    let mut causes: Vec<Cause> = pinning(sighted, scene).into_iter().collect();
    if sighted.bound.is_none() {
        causes.extend(links_down(sighted, scene));
        causes.extend(route(sighted, scene, look_up));
    }
    causes
}

/// What became of the socket's bound device.
fn pinning(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
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
        Some(Requested::Name(device)) => {
            let there = scene.network.links.by_name(device).is_some();
            Some(refused(device.clone(), there))
        }
        Some(Requested::Index(index)) => {
            let there = scene.network.links.get(*index).is_some();
            Some(refused(name(*index), there))
        }
        // An address was chosen, or a rule does not demand more: that no device was asked for is no cause then.
        Some(Requested::Nothing) | None if sighted.kind != Kind::Unpinned => None,
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
    Cause::likely(CauseKind::BindRefused {
        device,
        error: error.to_owned(),
    })
}

/// The interfaces that the traffic should have left by, and that are down.
fn links_down(sighted: &Sighted, scene: &Scene<'_>) -> Vec<Cause> {
    let meant: Vec<&Link> = match sighted.kind {
        Kind::AddressEscape => sighted
            .source_owner
            .and_then(|owner| scene.network.links.get(owner))
            .into_iter()
            .collect(),
        _ => scene.allowed(sighted),
    };
    let none_runs = !meant.iter().any(|link| link.up && link.running);
    meant
        .iter()
        .filter(|link| !(link.up && link.running))
        .filter(|link| none_runs || reaches(sighted, scene, link.index))
        .map(|link| Cause::certain(CauseKind::LinkDown(link.name.clone())))
        .collect()
}

/// Whether the destination is a neighbour on an interface.
fn reaches(sighted: &Sighted, scene: &Scene<'_>, interface: IfIndex) -> bool {
    let Some(headers) = sighted.headers else {
        return false;
    };
    scene.network.addresses.of(interface).any(|local| {
        ipnet::IpNet::new(local.address, local.prefix_len)
            .is_ok_and(|network| network.contains(&headers.destination))
    })
}

/// The route that the kernel has for this packet now, if it explains where the packet left.
fn route(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Option<Cause> {
    let headers = sighted.headers?;
    let query = RouteQuery {
        source: Some(headers.source),
        mark: sighted.mark,
        uid: sighted.owner.as_ref().map(|owner| owner.uid),
        protocol: Some(headers.protocol),
        source_port: headers.source_port,
        destination_port: headers.destination_port,
        ..RouteQuery::to(headers.destination)
    };
    let route = look_up(&query).ok()?;
    let output = route.output?;
    let described = Route {
        prefix: route.prefix.to_string(),
        via: route.gateway.map(|gateway| gateway.to_string()),
        device: (scene.name)(output),
        table: crate::host::routes::table_name(route.table, &scene.network.links),
        rule: None,
    };
    // Where the kernel now routes it elsewhere, the route that this packet took is gone already.
    (output == sighted.egress).then(|| Cause::certain(CauseKind::Route(described)))
}
