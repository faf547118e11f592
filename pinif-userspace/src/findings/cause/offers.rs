//! What routing offers a packet beside the way that it took.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ipnet::IpNet;
use pinif_ebpf::{key::IfIndex, packet::protocol, sighting::Origin, verdict::Kind};

use super::{
    links::is_neighbour,
    routing::leads_out,
    source::{is_answer, who_chose, writes_header},
};
use crate::{
    findings::{
        decode::Sighted,
        finding::{PacketDirection, Place},
        scene::{LookUp, Scene},
        ways::{ChosenBy, Reach, RouteKey, Way, Ways},
    },
    host::{
        lower_devices::lower_devices,
        routes::{Route, RouteError, RouteQuery, RouteType},
    },
};

/// No more than these are asked about.
const MANY: usize = 8;

/// Asks for the first packet of a finding, whose kind says where it belongs where that is not its rule's to say.
pub(in crate::findings) fn offers(
    sighted: &Sighted,
    place: &Place,
    home: Option<&Arc<str>>,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Ways {
    let Some(headers) = sighted.headers else {
        return Ways::default();
    };
    let network = |of| {
        let rule = sighted.rule?;
        scene.policy.whole_network(rule, of)
    };
    // What arrived is judged by what would answer it.
    if PacketDirection::of(sighted.kind) == PacketDirection::In {
        return Ways {
            network: network(headers.source),
            ..Ways::default()
        };
    }
    if sighted.join {
        return Ways::default();
    }
    let home = homes(sighted, place, home);
    let query = RouteQuery {
        uid: sighted.owner.as_ref().map(|owner| owner.uid),
        ..RouteQuery::to(headers.destination)
    };
    let asked = RouteQuery {
        mark: sighted.mark,
        protocol: Some(headers.protocol),
        source_port: headers.source_port,
        destination_port: headers.destination_port,
        tos: headers.tos,
        ..query.clone()
    };
    let ways = ways(&home, &query, sighted, scene, look_up);
    let there = source(sighted.egress, &query, scene, look_up);
    let is_led_there = there.is_some_and(|there| {
        let choice = look_up(&RouteQuery {
            source: Some(there),
            ..asked.clone()
        });
        choice.is_ok_and(|choice| leads_out(&choice, sighted.egress))
    });
    let without = look_up(&asked).ok();
    let is_right_without = without.is_some_and(|choice| {
        let output = choice
            .route
            .output
            .filter(|_| choice.route.kind != RouteType::Local);
        let fits = |output| {
            let is_allowed = is_allowed(sighted, scene, &(scene.name)(output));
            let source = choice.source;
            is_allowed && source.is_some_and(|source| may_have(source, output, scene))
        };
        output.is_some_and(fits)
    });
    let chosen_by = match sighted.origin {
        Origin::Process | Origin::Kernel => who_chose(sighted, scene, look_up),
        Origin::None if is_answer(sighted, scene) => ChosenBy::Asked,
        Origin::None => ChosenBy::Unknown,
    };
    Ways {
        home: ways,
        source: there,
        is_led_there,
        is_right_without,
        chosen_by,
        may_be_named: chosen_by == ChosenBy::Kernel && may_name_source(sighted, scene),
        writes_header: chosen_by == ChosenBy::Program && writes_header(sighted, scene),
        is_mapped: sighted.family == libc::AF_INET6 && headers.destination.is_ipv4(),
        others: Vec::new(),
        network: network(headers.destination),
        is_near: is_neighbour(scene, sighted.egress, headers.destination),
    }
}

/// How each interface where it belongs reaches the destination of a query, as far as that is known.
pub(super) fn ways(
    home: &[Arc<str>],
    query: &RouteQuery,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Way> {
    let to = query.destination;
    let mut ways = Vec::new();
    for name in home.iter().take(MANY) {
        let Some(link) = scene.network.links.by_name(name) else {
            continue;
        };
        let by_route = if is_allowed(sighted, scene, name) && link.up {
            reach(query, link.index, look_up)
        } else {
            Some(Routed::Nowhere)
        };
        let is_neighbour = || is_neighbour(scene, link.index, to);
        let alone = IpNet::from(to);
        // A VRF's routes lead via its members.
        let is_of_member =
            |by_route: &Routed| matches!(by_route, Routed::Elsewhere) && link.vrf_table.is_some();
        let by_route = by_route.filter(|by_route| !is_of_member(by_route));
        let reach = by_route.map(|by_route| match by_route {
            Routed::There(reach, network, route) => (reach, true, network, route),
            Routed::Elsewhere if is_neighbour() => (Reach::Direct, false, alone, None),
            Routed::OnLink if is_everywhere(to) || is_neighbour() => {
                (Reach::Direct, true, alone, None)
            }
            Routed::OnLink | Routed::Elsewhere | Routed::Nowhere => {
                (Reach::Nowhere, false, alone, None)
            }
        });
        if let Some((reach, holds, network, route)) = reach {
            ways.push(Way {
                interface: Arc::clone(name),
                reach,
                holds,
                network,
                route,
                source: source(link.index, query, scene, look_up),
                table: table(to, link.index, look_up),
            });
        }
    }
    ways
}

/// The address that a packet of a query could have by an interface ([`Ways::source`]).
fn source(
    interface: IfIndex,
    query: &RouteQuery,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<IpAddr> {
    let choice = look_up(&RouteQuery {
        output: Some(interface),
        ..query.clone()
    });
    let source = choice.ok().and_then(|choice| choice.source);
    source
        .filter(|source| may_have(*source, interface, scene))
        .or_else(|| address_of(interface, query.destination, scene))
}

/// The interfaces where it belongs.
pub(super) fn homes(sighted: &Sighted, place: &Place, own: Option<&Arc<str>>) -> Vec<Arc<str>> {
    if let Some(own) = own {
        return vec![Arc::clone(own)];
    }
    let allowed = place.rule.as_ref().map(|rule| &rule.interfaces[..]);
    let mut all = allowed.unwrap_or_default().to_vec();
    // The one that has its address needs no translation.
    all.sort_by_key(|name| Some(name) != place.source_owner.as_ref());
    // It left where it may: that one is known to lead there.
    if sighted.kind == Kind::Unpinned
        && let Some(egress) = &place.interface
        && all.contains(egress)
    {
        all = vec![Arc::clone(egress)];
    }
    all
}

/// Whether the rule that is for the packet lets it leave by an interface.
fn is_allowed(sighted: &Sighted, scene: &Scene<'_>, name: &str) -> bool {
    let rule = sighted.rule.and_then(|rule| scene.policy.rules.get(rule));
    rule.is_none_or(|rule| rule.only_via.is_empty()) || scene.allows(sighted, name)
}

/// Where routes lead what is bound to an interface.
enum Routed {
    /// By that interface, what the route is for, and what distinguishes it from others.
    There(Reach, IpNet, Option<RouteKey>),
    /// By no route, so that the destination is taken for one on the link (`ip_route_output_key_hash_rcu`). A route by a next-hop object
    /// of another interface hides those for larger networks that begin with the same address (`fib_table_lookup`).
    OnLink,
    /// By another: its VRF's routes do not ask what is bound ([`Way::holds`]).
    Elsewhere,
    /// Nowhere, or to the host itself.
    Nowhere,
}

/// Where routes lead what is bound to an interface; nothing where there is no answer.
fn reach(query: &RouteQuery, interface: IfIndex, look_up: &mut LookUp<'_>) -> Option<Routed> {
    let query = RouteQuery {
        output: Some(interface),
        ..query.clone()
    };
    match look_up(&query) {
        Ok(choice) if choice.route.kind == RouteType::Local => Some(Routed::Nowhere),
        Ok(choice) => Some(match choice.route.way_by(interface) {
            None => Routed::Elsewhere,
            Some(way) => {
                let reach = way.gateway.map_or(Reach::Direct, |gateway| Reach::Via {
                    gateway,
                    is_onlink: way.is_onlink,
                });
                Routed::There(reach, choice.route.prefix, key(&choice.route))
            }
        }),
        Err(RouteError::OnLink(_)) => Some(Routed::OnLink),
        Err(RouteError::Unreachable(_) | RouteError::Prohibited(_)) => Some(Routed::Nowhere),
        Err(_) => None,
    }
}

/// What distinguishes a route from others, unless it is one of several next hops, of which another may be the one that was taken.
fn key(route: &Route) -> Option<RouteKey> {
    (route.hops.len() <= 1).then_some(RouteKey {
        table: route.table,
        tos: route.tos,
        metric: route.metric,
    })
}

/// The table that leads to a destination by an interface without the rules that ask for more of a packet.
fn table(to: IpAddr, interface: IfIndex, look_up: &mut LookUp<'_>) -> Option<u32> {
    let query = RouteQuery::to(to);
    let plain = look_up(&query).ok()?;
    if leads_out(&plain, interface) {
        return Some(plain.route.table);
    }
    // A rule by the destination, or for all, takes this one as well: what would lead there is the first table that has such a route.
    plain.rule.filter(|rule| !rule.is_everywhere())?;
    let there = look_up(&RouteQuery {
        output: Some(interface),
        ..query.clone()
    });
    let table = there.ok()?.route.table;
    // It may have a longer prefix by another interface.
    let whole = look_up(&RouteQuery {
        table: Some(table),
        ..query
    });
    leads_out(&whole.ok()?, interface).then_some(table)
}

/// Whether the program may have named its packet's source: TCP looks at none that it names.
fn may_name_source(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    let Some(headers) = sighted.headers else {
        return false;
    };
    let may_name = sighted.origin == Origin::Process && headers.protocol != protocol::TCP;
    let options = may_name.then(|| (scene.options)()).flatten();
    options.is_some_and(|options| options.may_name_source(headers.destination.is_ipv6()))
}

/// Whether an address is of each link: a group, or the limited broadcast address (RFC 919, `ip_route_output_key_hash_rcu`).
fn is_everywhere(to: IpAddr) -> bool {
    to.is_multicast() || to == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether a packet that leaves by an interface may have an address: no other interface has it alone.
fn may_have(address: IpAddr, interface: IfIndex, scene: &Scene<'_>) -> bool {
    let owner = scene.network.sole_owner(address);
    owner.is_none_or(|owner| {
        owner == interface || lower_devices(&scene.network.links).contains(&(owner, interface))
    })
}

/// An address of an interface that packets to such a destination may have, where no route says which.
fn address_of(interface: IfIndex, to: IpAddr, scene: &Scene<'_>) -> Option<IpAddr> {
    let is_link_local = |address: IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let mut own = scene.network.addresses.of(interface);
    let fits = |address: IpAddr| {
        address.is_ipv4() == to.is_ipv4() && is_link_local(address) == is_link_local(to)
    };
    own.find(|own| fits(own.address)).map(|own| own.address)
}
