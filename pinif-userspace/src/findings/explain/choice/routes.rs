//! The remedies that lead packets where they belong by a route, or say that somebody has to decide where that is.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use pinif_ebpf::verdict::Kind;

use super::{
    egress,
    encapsulation::{is_bound_by_program, is_led_by_header, outer_source},
    facts::{Reached, demands_device, keeps_source_on_route, own_home, reached, reached_unbound},
    home,
};
use crate::findings::{
    explain::{
        Beside, CauseKind, Home, MovedTunnel, NewRoute, OutOfRule, Remedy, Route, Translation,
        phrases::{destination_address, packet_info},
    },
    finding::Finding,
    kinds::Row,
    samples::DestinationSample,
    ways::{ChosenBy, Way},
};

const LOCAL: u32 = libc::RT_TABLE_LOCAL as u32;

/// A route to where it belongs, or that its destination is kept out of the rule that led elsewhere; where nothing reaches it from there,
/// that somebody has to decide. Nothing where no rule says where it belongs: it may leave where it left, from another address.
pub(in crate::findings) fn route_home(finding: &Finding, row: &Row) -> Vec<Remedy> {
    let is_of_address = own_home(finding, row).is_some();
    let to = destination_address(finding);
    let taken = finding.route_taken();
    let home = home(finding, row);
    let way = match reached(finding) {
        Reached::Unknown => {
            let to = to.map(IpNet::from).into_iter().collect();
            return vec![Remedy::Route(instead_of(taken, to, home, None))];
        }
        Reached::Nowhere
            if let Some(way) = reached_unbound(finding)
                && !demands_device(finding, row) =>
        {
            way
        }
        Reached::Nowhere if is_of_address => return Vec::new(),
        Reached::Nowhere => {
            let rule = finding.place.rule.as_ref();
            let rule = rule.and_then(|rule| rule.name.clone());
            // An address that is wrong there, no rule makes right.
            let rule = rule.filter(|_| finding.kind != Kind::AddressEscape);
            return vec![undecided(finding, row, rule)];
        }
        Reached::By(way) => way,
    };
    let is_foreign = keeps_source_on_route(finding, &way);
    let Destinations { to, and, beside } = destinations(finding, row, taken, &way, is_foreign);
    // Nothing comes before the first.
    let later = taken.filter(|route| route.priority != Some(0));
    let out = later.and_then(|route| {
        Some(Remedy::OutOfRule(OutOfRule {
            to: to.clone(),
            and: and.clone(),
            beside: beside.clone(),
            rule: route.rule.clone()?,
            priority: route.priority,
            table: way.table.filter(|&table| table != route.table_number)?,
        }))
    });
    let (egress, source) = (way.interface.clone(), way.source);
    let route = NewRoute {
        and,
        beside,
        ..instead_of(taken, to, home, Some(way))
    };
    if !is_foreign {
        let route = Remedy::Route(route);
        return std::iter::once(route).chain(out).collect();
    }
    match finding.ways.chosen_by {
        // Whoever asked takes the answer from no other address, and NAT changes none (`nf_nat_inet_fn`).
        ChosenBy::Asked => Vec::new(),
        _ if finding.ways.is_reply => Vec::new(),
        // NAT changes nothing of what a route puts a header into.
        _ if is_bound_by_program(finding) => vec![Remedy::Together(vec![
            Remedy::Route(route),
            Remedy::UseSource {
                address: source,
                or_none: false,
                packet_info: packet_info(finding),
                in_header: false,
                egress,
            },
        ])],
        _ if is_led_by_header(finding) => {
            let of_route =
                source.and_then(|source| outer_source(finding, Some(route), egress, source));
            of_route.into_iter().collect()
        }
        ChosenBy::Tunnel => {
            let of_route = source
                .and_then(|source| outer_source(finding, Some(route.clone()), egress, source));
            let of_device = || {
                let tunnel = moved_tunnel(finding, source)?;
                Some(Remedy::RouteAndMoveTunnel(route, tunnel))
            };
            of_route.or_else(of_device).into_iter().collect()
        }
        _ => vec![Remedy::RouteAndTranslate(
            route,
            Translation {
                egress,
                ..translation(finding)
            },
        )],
    }
}

/// The same, where an interface that carries nothing has one of several next hops of the route that was taken.
pub(super) fn route_of_one_hop(finding: &Finding, row: &Row, interface: &str) -> Vec<Remedy> {
    let is_hop = finding
        .route_taken()
        .is_some_and(|route| route.hop_by(interface).is_some());
    match is_hop && !demands_device(finding, row) {
        true => route_home(finding, row),
        false => Vec::new(),
    }
}

/// Another local address for the tunnel whose outer packet it is, of the kinds that can change it.
pub(super) fn moved_tunnel(finding: &Finding, address: Option<IpAddr>) -> Option<MovedTunnel> {
    let address = address?;
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Tunnel {
            device,
            kind: Some(kind),
        } if ["vxlan", "gre", "gretap", "ipip", "sit", "vti", "erspan"].contains(&&**kind) => {
            Some(MovedTunnel {
                device: device.clone(),
                kind: kind.clone(),
                address,
            })
        }
        _ => None,
    })
}

/// Nothing reaches the destination from where it belongs: somebody has to decide whether this rule allows it to leave where it left.
pub(super) fn undecided(finding: &Finding, row: &Row, rule: Option<Arc<str>>) -> Remedy {
    Remedy::Decide {
        to: destination_address(finding),
        home: home(finding, row),
        allow: rule.map(|rule| (rule, egress(finding))),
        is_for_unbound: reached_unbound(finding).is_some(),
    }
}

/// What is to be led elsewhere than it was.
struct Destinations {
    /// By the first packet's way.
    to: Vec<IpNet>,
    /// By routes of their own.
    and: Vec<NewRoute>,
    /// What that leaves.
    beside: Beside,
}

/// What is to be led by this way: the whole network whose route leads elsewhere, where all that goes there is the rule's; else each
/// destination that the finding has seen. The way is that of the first, and of no others than its route is for. What another route led out,
/// gets one of its own, unless its source has to be translated as well.
fn destinations(
    finding: &Finding,
    row: &Row,
    taken: Option<&Route>,
    way: &Way,
    is_foreign: bool,
) -> Destinations {
    let mut all: Vec<IpNet> = destination_address(finding)
        .map(IpNet::from)
        .into_iter()
        .collect();
    let samples = finding.samples.as_deref();
    let has_more = samples.is_some_and(|samples| samples.destinations.more);
    let samples = samples.map_or(&[][..], |samples| &samples.destinations.samples);
    let mut seen: Vec<IpAddr> = Vec::new();
    for address in samples.iter().filter_map(DestinationSample::address) {
        let is_first = destination_address(finding) == Some(address);
        if !is_first && !seen.contains(&address) {
            seen.push(address);
        }
    }
    let (mut and, mut others, mut is_asked) = (Vec::new(), Vec::new(), !has_more);
    let are_asked = finding.route_asked_of_others().is_some();
    let mut unasked = Vec::new();
    for address in seen {
        let known = finding.ways.other(address);
        is_asked &= known.is_some();
        if known.is_none() && are_asked {
            unasked.push(address);
            continue;
        }
        let is_as_first = known.is_none_or(|known| known.is_as_first);
        let is_led = is_as_first && way.network.contains(&address);
        let led_out = led_out(finding, address);
        let is_covered =
            is_led && led_out.is_none_or(|out| taken.is_some_and(|taken| out.is_beside(taken)));
        let own = known.filter(|_| !is_covered).and_then(|known| {
            let out = led_out.or(taken.filter(|_| is_as_first))?;
            let way = known.way.clone().filter(|_| !is_foreign)?;
            Some(led_home(finding, row, address, out, way))
        });
        if is_covered || is_led && own.is_some() {
            all.push(address.into());
        }
        match own {
            Some(own) => add(&mut and, own),
            None if is_covered => {}
            None => others.push(address),
        }
    }
    // A rule that asks for more of a packet than its destination may have led the first alone.
    let is_by_rule = taken.is_some_and(|taken| taken.rule.is_some());
    let beside = match (others.is_empty(), is_by_rule && all.len() > 1 && !is_asked) {
        (false, _) => Beside::These(others),
        (true, true) => Beside::OtherRules,
        (true, false) => Beside::Nothing,
    };
    let whole = taken.and_then(|taken| whole(finding, taken, way, &all));
    Destinations {
        to: whole.map_or(all, |whole| vec![whole]),
        and,
        beside: match unasked.is_empty() {
            true => beside,
            false => Beside::Unasked(unasked),
        },
    }
}

/// Adds a route to those of the same way, which lead other hosts.
fn add(all: &mut Vec<NewRoute>, route: NewRoute) {
    let is_host = |to: &IpNet| to.prefix_len() == to.max_prefix_len();
    let is_alike = |other: &&mut NewRoute| {
        let is_by_same = (
            &other.way,
            &other.table,
            other.metric,
            other.tos,
            other.from,
        ) == (
            &route.way,
            &route.table,
            route.metric,
            route.tos,
            route.from,
        );
        is_by_same && other.to.iter().chain(&route.to).all(is_host)
    };
    if all.contains(&route) {
        return;
    }
    match all.iter_mut().find(is_alike) {
        Some(other) => other.to.extend(route.to),
        None => all.push(route),
    }
}

/// The network that a route takes, where all that goes there is the rule's, and the way leads to all of it.
fn whole(finding: &Finding, taken: &Route, way: &Way, all: &[IpNet]) -> Option<IpNet> {
    let of_rule = finding.ways.network?;
    // One of them is in the other: both have the destinations in them.
    let whole = match of_rule.contains(&taken.prefix) {
        true => taken.prefix,
        false => of_rule,
    };
    let has_all = way.network.contains(&whole) && all.iter().all(|host| whole.contains(host));
    has_all.then_some(whole)
}

/// The route that led another destination out, where that is not the first's.
fn led_out(finding: &Finding, address: IpAddr) -> Option<&Route> {
    finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::RouteOfOthers { to, route } if to.contains(&address) => Some(route),
        _ => None,
    })
}

/// The route that leads another destination home.
fn led_home(finding: &Finding, row: &Row, address: IpAddr, out: &Route, way: Way) -> NewRoute {
    let host = [IpNet::from(address)];
    let to = match whole(finding, out, &way, &host) {
        Some(whole) => vec![whole],
        None => host.to_vec(),
    };
    instead_of(Some(out), to, home(finding, row), Some(way))
}

/// A route in the place of one that was taken, where that is known.
pub(in crate::findings) fn instead_of(
    taken: Option<&Route>,
    to: Vec<IpNet>,
    home: Home,
    way: Option<Way>,
) -> NewRoute {
    // IPv6 has the routes of all groups in this one, which is asked first (`addrconf_add_mroute`).
    let is_group = |to: &IpNet| to.addr().is_ipv6() && to.addr().is_multicast();
    let of_groups = to.iter().any(is_group).then(|| ("local".to_owned(), LOCAL));
    NewRoute {
        table: of_groups.or_else(|| taken.and_then(table_of)),
        tos: taken.map_or(0, |taken| tos_of(taken, &to)),
        from: taken.and_then(|taken| taken.from.filter(|_| to == [taken.prefix])),
        metric: taken.and_then(|taken| metric_of(taken, &to)),
        instead: instead(taken, &to, way.as_ref()),
        to,
        home,
        way,
        and: Vec::new(),
        beside: Beside::Nothing,
    }
}

/// The routes that lead elsewhere, the one that was taken among them, where the way home is one of the same network ([`NewRoute::instead`]).
fn instead(taken: Option<&Route>, to: &[IpNet], way: Option<&Way>) -> Vec<Route> {
    let routes = way.map_or(&[][..], |way| &way.instead);
    let is_among = |taken: &Route| {
        to == [taken.prefix] && routes.iter().any(|route| route.is_same_entry(taken))
    };
    match taken.is_some_and(is_among) {
        true => routes.to_vec(),
        false => Vec::new(),
    }
}

/// The table that a route is in, where a rule led there.
fn table_of(route: &Route) -> Option<(String, u32)> {
    let is_by_rule = route.rule.is_some();
    is_by_rule.then(|| (route.table.clone(), route.table_number))
}

/// The metric of the route that another takes the place of, where it is for the same network: else both would be there, and the better of
/// them would decide.
fn metric_of(taken: &Route, to: &[IpNet]) -> Option<u32> {
    let is_same = to == [taken.prefix];
    // What a route gets that names none (`IP6_RT_PRIO_USER`).
    let default = if taken.prefix.addr().is_ipv4() {
        0
    } else {
        1024
    };
    Some(taken.metric).filter(|&metric| is_same && metric != default)
}

/// The type of service of that route, where it is for the same network: one for all packets would be another, and theirs would be decided
/// by this one still (`fib_table_lookup`).
fn tos_of(taken: &Route, to: &[IpNet]) -> u8 {
    match to == [taken.prefix] {
        true => taken.tos,
        false => 0,
    }
}

/// The same, where an interface is known where it belongs and that reaches its destination.
pub(in crate::findings) fn reached_home(finding: &Finding, row: &Row) -> Option<Vec<Remedy>> {
    let is_reached = match reached(finding) {
        Reached::By(_) => true,
        Reached::Nowhere => reached_unbound(finding).is_some(),
        Reached::Unknown => false,
    };
    is_reached.then(|| route_home(finding, row))
}

/// The same of what a route led elsewhere although its socket is bound: to a VRF, whose routes are asked.
pub(in crate::findings) fn routed_home(finding: &Finding, row: &Row) -> Vec<Remedy> {
    match finding.route_taken() {
        Some(_) => route_home(finding, row),
        None => Vec::new(),
    }
}

/// The packets of a finding, as NAT is to change them where they left: those with the source that they had before it changed them.
pub(super) fn translation(finding: &Finding) -> Translation {
    let flow = finding.flow.map(|flow| flow.source.address);
    let mut is_changed = finding.ways.chosen_by == ChosenBy::Nat;
    let before = finding.causes.iter().find_map(|cause| match &cause.kind {
        CauseKind::Translated { source, .. } => *source,
        CauseKind::Forwarded {
            is_translated: true,
            source,
            ..
        } => {
            is_changed = true;
            *source
        }
        _ => None,
    });
    Translation {
        source: before.or(flow.filter(|_| !is_changed)),
        is_ipv6: flow.is_some_and(|flow| flow.is_ipv6()),
        egress: egress(finding),
    }
}
