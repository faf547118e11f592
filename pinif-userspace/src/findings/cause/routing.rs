//! Which route a packet took: the kernel is asked what it was asked for this packet.

use std::net::IpAddr;

use pinif_ebpf::{key::IfIndex, packet::protocol, sample::Destination, sighting::Origin};

use super::{
    answers::is_reply,
    links::{bound_vrf, links_down},
    nat, nft,
    passage::{Changed, Passages},
};
use crate::{
    findings::{
        decode::{Headers, Sighted},
        explain::{Cause, CauseKind, PacketInfo, Route, naming},
        scene::{LookUp, Scene},
    },
    host::routes::{Choice, RouteError, RouteQuery, RouteType},
};

/// The types of service that a rule may ask for (`IPTOS_RT_MASK`), where the packet was given another after it was routed.
const TYPES_OF_SERVICE: [u8; 8] = [0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c];
/// What routing looks at of a packet's type of service: not the two bits of congestion notification (`INET_DSCP_MASK`).
pub(super) const DSCP: u8 = 0xfc;

/// The route that the kernel has for this packet now, if it explains where the packet left, and the program named no interface; else,
/// that it named one, or that the route does not explain it.
pub(super) fn route(sighted: &Sighted, scene: &Scene<'_>, look_up: &mut LookUp<'_>) -> Vec<Cause> {
    let Some(headers) = sighted.headers else {
        return Vec::new();
    };
    let is_it = named_by_option(sighted, &headers, scene);
    let routed = match route_taken(sighted, scene, look_up) {
        Ok(_) if is_it.is_some() && needs_no_route(sighted, &headers) => Some(sighted.egress),
        Ok(causes) => return causes,
        Err(routed) => routed,
    };
    // What the kernel sends by itself names the interface where it must, which is no mistake of anybody's. And a link
    // that is down took its routes along, which may have come back by now.
    let is_down = || !links_down(sighted, scene, &[]).is_empty();
    if sighted.origin != Origin::Process || is_it.is_none() && is_down() {
        return Vec::new();
    }
    if is_it.is_none()
        && let Some(redirected) = nft::redirected(sighted.egress, &(scene.nft)())
    {
        return vec![redirected];
    }
    vec![Cause {
        certain: is_it.is_some(),
        kind: CauseKind::Named {
            how: is_it.unwrap_or_else(|| named_by(sighted, &headers)),
            interface: (scene.name)(sighted.egress),
            routed: routed.map(scene.name),
        },
    }]
}

/// The options and messages by which the program may have named one.
fn named_by(sighted: &Sighted, headers: &Headers) -> &'static str {
    let to = headers.destination;
    naming(to, PacketInfo::of(sighted.family, to))
}

/// The option of its socket that names the interface by which a packet left; nothing where there is none, or nobody can be asked.
fn named_by_option(
    sighted: &Sighted,
    headers: &Headers,
    scene: &Scene<'_>,
) -> Option<&'static str> {
    // TCP looks at none of these options.
    let may_name = sighted.origin == Origin::Process && headers.protocol != protocol::TCP;
    let options = may_name.then(|| (scene.options)()).flatten()?;
    let (to, egress) = (headers.destination, sighted.egress);
    let by_index = options.toward(to);
    let by_index = by_index.filter(|(interface, _)| *interface == egress);
    let by_address = || {
        let (address, option) = options.toward_by_address(to)?;
        let mut own = scene.network.addresses.of(egress);
        own.any(|own| own.address == address).then_some(option)
    };
    by_index.map(|(_, option)| option).or_else(by_address)
}

/// Whether the kernel looks at the interface that an option names before any route, so that no other route leads the packet elsewhere
/// (`udp_sendmsg`, `fib_table_lookup`). Only for unicast of IPv6 from a given address, it prefers that interface and demands it not
/// (`ip6_route_output_flags`, `rt6_score_route`).
fn needs_no_route(sighted: &Sighted, headers: &Headers) -> bool {
    let to = headers.destination;
    to.is_ipv4() || to.is_multicast() || bound_source(sighted).is_none()
}

/// What chose the interface that the packet left by: the route, with the mark that led to it, or its source address; else where the
/// kernel would send it now.
///
/// Only an answer that leads to the packet's interface, and could have been no other, is certain.
pub(super) fn route_taken(
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Result<Vec<Cause>, Option<IfIndex>> {
    let Some(asked) = Asked::of(sighted, scene) else {
        return Err(None);
    };
    let egress = sighted.egress;
    let mut routed = None;
    let mut answer = |query: &RouteQuery| -> Option<Choice> {
        match look_up(query) {
            Ok(choice) if leads_out(&choice, egress) => Some(choice),
            Ok(choice) => {
                routed = routed.or(choice.route.output);
                None
            }
            Err(_) => None,
        }
    };
    let with = answer(&asked.with);
    let without = asked.without.as_ref().and_then(&mut answer);
    let source = asked.with.source;
    let chosen = match (without, with) {
        // The kernel gave it this source: it was asked without one, and TCP over IPv4 asks again.
        (Some(without), with) if gives(&without, source) => match with {
            Some(with) if asked.asks_again || is_same(&with, &without) => {
                Some((with, !asked.names_of_group))
            }
            Some(_) => Some((without, false)),
            None => Some((without, !asked.asks_again && !asked.names_of_group)),
        },
        // It had its source before, or the program named an interface, which gives the packet an address of it.
        (_, Some(with)) => Some((with, !asked.may_be_named(egress, scene))),
        // It had another source then, or NAT changed it.
        (Some(without), None) => Some((without, false)),
        (None, None) => None,
    };
    let chosen = chosen.or_else(|| {
        let further = asked.further();
        further
            .iter()
            .find_map(&mut answer)
            .map(|choice| (choice, false))
    });
    if let Some((choice, certain)) = chosen {
        let route = described(&choice, egress, scene);
        let mark = route.by_mark.then(|| {
            let passages = Passages::of(sighted, changed(sighted, scene));
            nft::marked(sighted.mark, sighted.origin, &passages, &(scene.nft)())
        });
        let kind = CauseKind::Route(route);
        return Ok(mark.into_iter().chain([Cause { kind, certain }]).collect());
    }
    match look_up(&asked.with) {
        Err(RouteError::BySource(_, output))
            if output == egress && !asked.has_source_of(egress, scene) =>
        {
            Ok(vec![Cause {
                // What the kernel sends by itself to a group may be bound to an interface, as a tunnel is.
                certain: sighted.origin == Origin::Process && !asked.names_of_group,
                kind: CauseKind::SourcePicks {
                    source: source.unwrap_or(asked.headers.source),
                    interface: (scene.name)(output),
                },
            }])
        }
        Err(RouteError::BySource(_, output)) => {
            Err(routed.or(Some(output).filter(|&output| output != egress)))
        }
        _ => Err(routed),
    }
}

/// What a packet was where rules of nftables saw it, beside what it is.
fn changed(sighted: &Sighted, scene: &Scene<'_>) -> Changed {
    let headers = sighted.headers;
    let to = headers.map(|headers| headers.destination);
    let to = to.filter(IpAddr::is_ipv6);
    let is_other = |bound: IpAddr| headers.is_some_and(|headers| headers.source != bound);
    Changed {
        is_translated: nat::before(sighted, scene).is_some()
            || bound_source(sighted).is_some_and(is_other),
        is_reply: is_reply(sighted, scene),
        // A header that a route put into it may have led it here.
        is_encapsulated: to.is_some_and(|to| !(scene.encapsulating)(to).is_empty()),
    }
}

/// Whether an answer gives a packet without a source this one; of several next hops, each may give another.
fn gives(choice: &Choice, source: Option<IpAddr>) -> bool {
    choice.source == source || choice.route.hops.len() > 1
}

/// Whether two answers are one route by one rule. Of several next hops, either may have chosen any, and a source by that; IPv6 names the one
/// that it has chosen first (`rt6_fill_node`).
fn is_same(one: &Choice, other: &Choice) -> bool {
    let routed = |choice: &Choice| {
        let mut choice = choice.clone();
        if choice.route.hops.len() > 1 {
            (choice.route.gateway, choice.route.output) = (None, None);
            (choice.route.is_onlink, choice.source) = (false, None);
            let hops = &mut choice.route.hops;
            hops.sort_by_key(|hop| (hop.output, hop.gateway));
        }
        choice
    };
    routed(one) == routed(other)
}

/// The route that a packet was forwarded by whose source was translated since then. Its own source is not known: one of those that
/// come in by the interface stands in for it, and that is no proof where a rule asks for the source.
pub(super) fn route_before_translation(
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

/// What the kernel asked its tables for a packet.
pub(in crate::findings) struct Asked {
    headers: Headers,
    /// With the source that it had before it was translated.
    pub with: RouteQuery,
    /// Without one, where the kernel may have chosen it.
    pub without: Option<RouteQuery>,
    /// It is asked again with the source that came of it (`ip_route_connect`).
    asks_again: bool,
    /// No program has named an interface with it: TCP does not, and a socket's address is no choice of the kernel's.
    names_none: bool,
    /// It goes to a group, for which a program may have named one, whatever its address is.
    names_of_group: bool,
}

impl Asked {
    pub fn of(sighted: &Sighted, scene: &Scene<'_>) -> Option<Self> {
        let headers = sighted.headers?;
        let forwarded = sighted.forwarded_from();
        let bound = bound_source(sighted);
        // A packet that NAT changed was routed before that; its destination, after it.
        let source = match nat::before(sighted, scene) {
            Some(before) => before.source,
            None => bound.unwrap_or(headers.source),
        };
        let with = RouteQuery {
            source: Some(source),
            // What is bound to another interface goes by that, whatever the tables say.
            output: bound_vrf(sighted, scene).map(|vrf| vrf.index),
            input: forwarded,
            mark: sighted.mark,
            uid: sighted.owner.as_ref().map(|owner| owner.uid),
            protocol: Some(headers.protocol),
            source_port: headers.source_port,
            destination_port: headers.destination_port,
            tos: headers.tos & DSCP,
            ..RouteQuery::to(headers.destination)
        };
        let has_source = forwarded.is_some() || bound.is_some();
        let without = (!has_source).then(|| RouteQuery {
            source: None,
            ..with.clone()
        });
        let is_tcp = headers.protocol == protocol::TCP;
        let is_tcp4 = headers.destination.is_ipv4() && is_tcp;
        let is_program = sighted.origin == Origin::Process;
        Some(Self {
            headers,
            with,
            without,
            asks_again: is_tcp4 || sighted.origin == Origin::Kernel,
            names_none: !is_program || bound.is_some() || is_tcp,
            names_of_group: is_program && !is_tcp && headers.destination.is_multicast(),
        })
    }

    /// The same whatever the socket is bound to, so that each interface can be asked for: without a source, where the kernel may have chosen it.
    pub fn by_any(&self) -> RouteQuery {
        RouteQuery {
            output: None,
            ..self.without.as_ref().unwrap_or(&self.with).clone()
        }
    }

    /// The same of another packet of its sender, of which no more is known than where it went: it may have come from elsewhere, by another port.
    pub fn toward(&self, other: &Destination) -> RouteQuery {
        let destination = other.address.ip();
        let by_any = self.by_any();
        let source = by_any.source.filter(|_| by_any.input.is_none());
        RouteQuery {
            destination,
            source: source.filter(|source| source.is_ipv4() == destination.is_ipv4()),
            input: None,
            protocol: Some(other.protocol),
            source_port: None,
            destination_port: Some(other.port).filter(|&port| port != 0),
            ..by_any
        }
    }

    /// Whether the program may have named the interface with what it sends (`IP_PKTINFO`, `IP_MULTICAST_IF`), and the kernel asked for no
    /// other way. To a group, most programs do, and not every such option can be read.
    fn may_be_named(&self, egress: IfIndex, scene: &Scene<'_>) -> bool {
        self.names_of_group || self.has_source_of(egress, scene)
    }

    /// Whether the packet has an address of the interface that the kernel may have given it since that was named.
    fn has_source_of(&self, egress: IfIndex, scene: &Scene<'_>) -> bool {
        let mut own = scene.network.addresses.of(egress);
        !self.names_none && own.any(|own| own.address == self.headers.source)
    }

    /// The same of what a packet does not say any more: a type of service or a mark that it was given after it was routed.
    pub fn further(&self) -> Vec<RouteQuery> {
        let both: Vec<&RouteQuery> = self.without.iter().chain([&self.with]).collect();
        let others = TYPES_OF_SERVICE.iter().filter(|&&tos| tos != self.with.tos);
        let served = others.flat_map(|&tos| {
            let of_service = move |query: &&RouteQuery| RouteQuery {
                tos,
                ..(*query).clone()
            };
            both.iter().map(of_service)
        });
        let unmarked = both.iter().filter(|query| query.mark != 0);
        let unmarked = unmarked.map(|query| RouteQuery {
            mark: 0,
            ..(*query).clone()
        });
        unmarked.chain(served).collect()
    }
}

/// The address that the socket is bound to, where its packets have it: one that is bound to a group's or a broadcast address sends from
/// another.
pub(super) fn bound_source(sighted: &Sighted) -> Option<IpAddr> {
    let bound = sighted.bound_address?;
    let is_for_many = match bound {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    };
    (!is_for_many && !bound.is_unspecified()).then_some(bound)
}

/// What the kernel asked its tables for this packet, the likeliest first.
pub(in crate::findings) fn questions(sighted: &Sighted, scene: &Scene<'_>) -> Vec<RouteQuery> {
    let Some(asked) = Asked::of(sighted, scene) else {
        return Vec::new();
    };
    match asked.without {
        Some(without) if asked.asks_again => vec![asked.with, without],
        Some(without) => vec![without, asked.with],
        None => vec![asked.with],
    }
}

/// Whether a route leads out by an interface; one to the host's own address names it, and leads to `lo`.
pub(in crate::findings) fn leads_out(choice: &Choice, interface: IfIndex) -> bool {
    choice.route.kind != RouteType::Local && choice.route.way_by(interface).is_some()
}

/// A route's next hop via an interface, in words.
pub(in crate::findings) fn described(
    choice: &Choice,
    interface: IfIndex,
    scene: &Scene<'_>,
) -> Route {
    let mut choice = choice.clone();
    if let Some(way) = choice.route.way_by(interface) {
        choice.route.gateway = way.gateway;
        choice.route.output = way.output;
        choice.route.is_onlink = way.is_onlink;
    }
    Route {
        device: Some((scene.name)(interface)),
        ..Route::chosen(&choice, &scene.network.links)
    }
}
