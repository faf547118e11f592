//! How an interface reaches a destination.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ipnet::IpNet;
use pinif_ebpf::key::IfIndex;

use super::{links::is_neighbour, routing::leads_out};
use crate::{
    findings::{
        decode::Sighted,
        explain::Route,
        scene::{LookUp, Scene},
        ways::{Reach, Way},
    },
    host::{
        lower_devices::lower_devices,
        neighbours::Unanswered,
        routes::{self, RouteError, RouteQuery, RouteType},
    },
};

/// No more than these are asked about.
const MANY: usize = 8;

/// How each interface where it belongs reaches the destination, as far as that is known: by the routes for all that goes there, the first
/// query; else by those that a packet follows which has all that the rules ask for, the second.
pub(super) fn ways(
    home: &[Arc<str>],
    queries: [&RouteQuery; 2],
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Way> {
    let [query, _] = queries;
    let to = query.destination;
    let homes = home.iter().take(MANY);
    let links = homes.filter_map(|name| scene.network.links.by_name(name));
    let indexes: Vec<IfIndex> = links.clone().map(|link| link.index).collect();
    let mut ways = Vec::new();
    for link in links {
        let is_near = || is_everywhere(to) || is_neighbour(scene, link.index, to);
        let is_usable = is_allowed(sighted, scene, &link.name) && link.up;
        let by_route = match is_usable {
            true => reach(queries, link.index, &is_near, scene, look_up),
            false => Some(Routed::Nowhere),
        };
        // A VRF's routes lead via its members.
        let is_of_member =
            |by_route: &Routed| matches!(by_route, Routed::Elsewhere) && link.vrf_table.is_some();
        let by_route = by_route.filter(|by_route| !is_of_member(by_route));
        let alone = |reach, holds| Found {
            reach,
            silent: None,
            holds,
            is_for_unbound: false,
            network: IpNet::from(to),
            instead: Vec::new(),
        };
        let found = by_route.map(|by_route| match by_route {
            Routed::There(found) => found,
            Routed::Elsewhere if is_neighbour(scene, link.index, to) => alone(Reach::Direct, false),
            Routed::OnLink if is_near() => alone(Reach::Direct, true),
            Routed::OnLink | Routed::Elsewhere | Routed::Nowhere => alone(Reach::Nowhere, false),
        });
        if let Some(found) = found {
            let is_home =
                |output: Option<IfIndex>| output.is_some_and(|output| indexes.contains(&output));
            let leads_home = |route: &&routes::Route| match &route.hops[..] {
                [] => is_home(route.output),
                hops => hops.iter().all(|hop| is_home(hop.output)),
            };
            let instead = found.instead.iter().filter(|route| !leads_home(route));
            let described = |route| Route::of(route, &scene.network.links);
            ways.push(Way {
                interface: link.name.as_str().into(),
                reach: found.reach,
                silent: found.silent,
                holds: found.holds,
                is_for_unbound: found.is_for_unbound,
                network: found.network,
                instead: instead.map(described).collect(),
                source: source(link.index, query, scene, look_up),
                table: table(to, link.index, look_up),
            });
        }
    }
    ways
}

/// The address that a packet of a query could have by an interface ([`Way::source`]).
pub(super) fn source(
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

/// Where routes lead what is bound to an interface.
enum Routed {
    /// By that interface.
    There(Found),
    /// By no route, so that the destination is taken for one on the link (`ip_route_output_key_hash_rcu`).
    OnLink,
    /// By another: its VRF's routes do not ask what is bound ([`Way::holds`]).
    Elsewhere,
    /// Nowhere, or to the host itself.
    Nowhere,
}

/// A route by an interface: what a [`Way`] has of it.
struct Found {
    reach: Reach,
    silent: Option<Unanswered>,
    holds: bool,
    is_for_unbound: bool,
    network: IpNet,
    instead: Vec<routes::Route>,
}

/// Where routes lead what is bound to an interface, by the first of these queries by which they lead there; nothing where there is no answer.
fn reach(
    queries: [&RouteQuery; 2],
    interface: IfIndex,
    is_near: &dyn Fn() -> bool,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Routed> {
    let [query, asked] = queries;
    let by_all = by_rules(query, asked, interface, scene, look_up)?;
    let leads = match by_all {
        Routed::There(_) | Routed::Elsewhere => true,
        Routed::OnLink | Routed::Nowhere => false,
    };
    if leads {
        return Some(by_all);
    }
    let hidden = hidden(asked, interface, is_near, scene, look_up);
    if let Some(hidden) = hidden {
        return Some(Routed::There(hidden));
    }
    match by_all {
        Routed::OnLink if is_near() => Some(by_all),
        _ => by_rules(asked, asked, interface, scene, look_up)
            .filter(|by| matches!(by, Routed::There(_)))
            .or(Some(by_all)),
    }
}

/// The same, by one query.
fn by_rules(
    query: &RouteQuery,
    asked: &RouteQuery,
    interface: IfIndex,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Routed> {
    let bound = RouteQuery {
        output: Some(interface),
        ..query.clone()
    };
    match look_up(&bound) {
        Ok(choice) if choice.route.kind == RouteType::Local => Some(Routed::Nowhere),
        Ok(choice) => match found(&choice.route, interface, scene) {
            None => Some(Routed::Elsewhere),
            Some(found) => {
                let instead = instead(&choice.route, asked, interface, look_up);
                Some(Routed::There(Found { instead, ..found }))
            }
        },
        Err(RouteError::OnLink(_)) => Some(Routed::OnLink),
        Err(RouteError::Unreachable(_) | RouteError::Prohibited(_)) => Some(Routed::Nowhere),
        Err(_) => None,
    }
}

/// A route that leads by an interface: of several next hops there, by the first that answers.
fn found(route: &routes::Route, interface: IfIndex, scene: &Scene<'_>) -> Option<Found> {
    let silent = |way: &routes::Hop| (scene.silent)(interface, way.gateway?);
    let ways = route.ways_by(interface).map(|way| (silent(&way), way));
    let (silent, way) = ways.min_by_key(|(silent, _)| silent.is_some())?;
    // Of a group of next hops, IPv6 takes any for what is bound (`fib6_select_path`).
    let is_any = route.next_hop.is_some() && route.prefix.addr().is_ipv6();
    let is_other = |hop: &routes::Hop| hop.output != Some(interface);
    let is_for_unbound = is_any && route.hops.iter().any(is_other);
    Some(Found {
        reach: way.gateway.map_or(Reach::Direct, |gateway| Reach::Via {
            gateway,
            is_onlink: way.is_onlink,
        }),
        silent,
        holds: !is_for_unbound,
        is_for_unbound,
        network: route.prefix,
        instead: Vec::new(),
    })
}

/// The routes that a packet follows instead of this one, which leads by an interface, where it follows one for the same network.
fn instead(
    route: &routes::Route,
    asked: &RouteQuery,
    interface: IfIndex,
    look_up: &mut LookUp<'_>,
) -> Vec<routes::Route> {
    let Ok(taken) = look_up(asked) else {
        return Vec::new();
    };
    if taken.route.key() != route.key() || taken.route.way_by(interface).is_some() {
        return Vec::new();
    }
    let choice = look_up(&RouteQuery {
        table: Some(route.table),
        output: Some(interface),
        ..asked.clone()
    });
    choice.map(|choice| choice.instead).unwrap_or_default()
}

/// The route by an interface that no look-up for what is bound to that finds, since the search ends at a next-hop object of another interface:
/// one behind that, or for a larger network that begins with the same address (`fib_table_lookup`). What is bound takes the destination for a
/// neighbour there. And of what is forwarded, the route in the table that a rule led it to.
fn hidden(
    asked: &RouteQuery,
    interface: IfIndex,
    is_near: &dyn Fn() -> bool,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Option<Found> {
    let taken = look_up(asked).ok()?.route;
    // Of several default routes, each may be the one that is taken (`fib_select_default`).
    let may_hide = taken.next_hop.is_some() || taken.way_by(interface).is_some();
    let may_hide = may_hide && taken.prefix.addr().is_ipv4();
    // What is forwarded asks by no interface.
    if !may_hide && asked.input.is_none() {
        return None;
    }
    let choice = look_up(&RouteQuery {
        table: Some(taken.table),
        output: Some(interface),
        ..asked.clone()
    });
    let choice = choice.ok()?;
    let found = found(&choice.route, interface, scene)?;
    let holds = is_near();
    Some(Found {
        holds,
        is_for_unbound: !holds,
        instead: choice.instead,
        ..found
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

/// Whether the rule that is for the packet lets it leave by an interface.
pub(super) fn is_allowed(sighted: &Sighted, scene: &Scene<'_>, name: &str) -> bool {
    let rule = sighted.rule.and_then(|rule| scene.policy.rules.get(rule));
    rule.is_none_or(|rule| rule.only_via.is_empty()) || scene.allows(sighted, name)
}

/// Whether an address is of each link: a group, or the limited broadcast address (RFC 919, `ip_route_output_key_hash_rcu`).
fn is_everywhere(to: IpAddr) -> bool {
    to.is_multicast() || to == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether a packet that leaves by an interface may have an address: no other interface has it alone.
pub(super) fn may_have(address: IpAddr, interface: IfIndex, scene: &Scene<'_>) -> bool {
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
