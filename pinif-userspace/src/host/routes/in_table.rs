//! What is read of one table, whichever rules lead there: the route that it has for a destination, for the kernel's look-up begins at the
//! rules, and the type of service that a route is for.

use std::{cmp::Reverse, io, net::IpAddr};

use netlink_packet_route::{
    AddressFamily,
    route::{RouteAttribute, RouteFlags, RouteMessage},
};

use pinif_ebpf::key::IfIndex;

use super::{Route, RouteQuery, dump::dump};
use crate::host::{netns::NetNs, numbering::Numbering};

/// The route of a table that a packet of a type of service follows to a destination, by the interface that the query names, and those that are
/// followed instead of it ([`Choice::instead`](super::Choice::instead)); none where the table has none.
///
/// # Errors
/// Where the kernel refuses netlink, or has too many routes, or they change while they are read.
pub(super) fn find(
    netns: &NetNs,
    numbering: Numbering,
    table: u32,
    query: &RouteQuery,
) -> io::Result<Option<(Route, Vec<Route>)>> {
    let mut all = Vec::new();
    read(netns, table, query.destination.is_ipv6(), |message| {
        if is_followed(message, query.tos) {
            all.extend(entry(
                Route::read(message, numbering),
                table,
                query.destination,
            ));
        }
    })?;
    Ok(best(all, query.output))
}

/// The type of service that a route is for, zero where it is for all; none where no route of its table is for one. Of one that packets of
/// this type of service follow, the kernel's answer has theirs before Linux 6.11, not its own (`inet_rtm_getroute`).
///
/// # Errors
/// As [`find`].
pub(super) fn tos_of(
    netns: &NetNs,
    numbering: Numbering,
    route: &Route,
    asked: u8,
) -> io::Result<Option<u8>> {
    let is_ipv6 = route.prefix.addr().is_ipv6();
    let mut found = None;
    read(netns, route.table, is_ipv6, |message| {
        let mut entry = Route::read(message, numbering);
        entry.take_kind_of_entry();
        if entry.tos == 0 || entry.table != route.table {
            return;
        }
        let tos = found.get_or_insert(0);
        let key = |route: &Route| (route.prefix, route.metric);
        if key(&entry) == key(route) && types_of_service(asked).contains(&entry.tos) {
            *tos = entry.tos;
        }
    })?;
    Ok(found)
}

/// What a route may say of packets with such a field: kernels look at all six bits of the DSCP, or at three (`IPTOS_RT_MASK`).
fn types_of_service(asked: u8) -> [u8; 2] {
    [asked & 0xfc, asked & 0x1c]
}

/// Gives every entry that the kernel has of a table.
fn read(
    netns: &NetNs,
    table: u32,
    is_ipv6: bool,
    take: impl FnMut(&RouteMessage) + Send,
) -> io::Result<()> {
    let mut all = RouteMessage::default();
    all.header.address_family = if is_ipv6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    // Kernels that filter dumps read no other table's.
    all.attributes.push(RouteAttribute::Table(table));
    match dump(netns, &all, take) {
        // There is no such table, as that of last resort where nothing was ever entered (`inet_dump_fib`).
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        answer => answer,
    }
}

/// Whether a packet of a type of service may follow an entry: not one for another, nor one of the kernel's own caches, nor one
/// whose link is down (`fib_table_lookup`).
fn is_followed(message: &RouteMessage, asked: u8) -> bool {
    let (flags, tos) = (message.header.flags, message.header.tos);
    let is_for_it = tos == 0 || types_of_service(asked).contains(&tos);
    is_for_it && !flags.intersects(RouteFlags::Cloned | RouteFlags::Dead)
}

/// A route, if it is one of the table for the destination as such: not for some sources alone.
fn entry(mut route: Route, table: u32, to: IpAddr) -> Option<Route> {
    route.take_kind_of_entry();
    let is_it = route.table == table && route.prefix.contains(&to) && route.from.is_none();
    is_it.then_some(route)
}

/// The best of these, in the table's order, and those that are followed instead of it: the longest prefix, then the one for a type of service,
/// then the least metric, then the one that the kernel lists first.
fn best(mut all: Vec<Route>, output: Option<IfIndex>) -> Option<(Route, Vec<Route>)> {
    let rank = |route: &Route| {
        let is_of_service = route.tos != 0;
        let length = route.prefix.prefix_len();
        (length, is_of_service, Reverse(route.metric))
    };
    let leads = |route: &Route| output.is_none_or(|output| route.way_by(output).is_some());
    let mut place: Option<usize> = None;
    for (number, route) in all.iter().enumerate().filter(|(_, route)| leads(route)) {
        if place.is_none_or(|place| rank(route) > rank(&all[place])) {
            place = Some(number);
        }
    }
    let place = place?;
    let route = all.remove(place);
    let is_default = route.prefix.prefix_len() == 0;
    let may_follow = is_default || route.prefix.addr().is_ipv6();
    let instead = all.into_iter().enumerate().filter(|(number, other)| {
        output.is_some() && other.key() == route.key() && (may_follow || *number < place)
    });
    let instead = instead.map(|(_, other)| other).collect();
    Some((route, instead))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(length: u8, metric: u32, table: u32, output: u32) -> Route {
        let prefix = ipnet::IpNet::new([10, 0, 0, 2].into(), length).expect("a prefix");
        Route {
            prefix: prefix.trunc(),
            metric,
            table,
            output: Some(IfIndex(output)),
            ..Route::blank(AddressFamily::Inet)
        }
    }

    fn chosen(routes: &[Route], output: Option<IfIndex>) -> Option<(Route, Vec<Route>)> {
        let routes = routes.iter().cloned();
        let entries = routes.filter_map(|route| entry(route, 7, [10, 0, 0, 2].into()));
        best(entries.collect(), output)
    }

    #[test]
    fn the_longest_prefix_of_the_table_is_followed() {
        let elsewhere = Route {
            prefix: "10.0.1.0/24".parse().expect("a prefix"),
            ..route(24, 0, 7, 9)
        };
        let routes = [
            route(24, 0, 7, 2),
            route(30, 5, 7, 3),
            route(30, 1, 7, 4),
            route(30, 1, 7, 5),
            route(32, 0, 8, 6),
            elsewhere,
        ];
        assert_eq!(chosen(&routes, None), Some((routes[2].clone(), vec![])));
        assert_eq!(chosen(&routes[4..], None), None);
    }

    #[test]
    fn by_an_interface_those_are_named_that_are_followed_instead() {
        let all = [
            route(30, 1, 7, 3),
            route(30, 1, 7, 4),
            route(30, 1, 7, 5),
            route(30, 1, 7, 6),
            route(30, 2, 7, 7),
            route(24, 1, 7, 5),
        ];
        let by = |output| chosen(&all, Some(IfIndex(output)));
        assert_eq!(by(5), Some((all[2].clone(), all[..2].to_vec())));
        assert_eq!(by(7), Some((all[4].clone(), vec![])));
        assert_eq!(by(8), None);
        let defaults = [0, 0].map(|length| route(length, 0, 7, 3));
        let other = route(0, 0, 7, 4);
        let all = [defaults[0].clone(), other.clone(), defaults[1].clone()];
        let found = chosen(&all, other.output);
        assert_eq!(found, Some((other, defaults.to_vec())));
    }

    proptest! {
        #[test]
        fn none_is_better(routes in proptest::collection::vec((0u8..=32, 0u32..4, 6u32..9), 0..20)) {
            let routes: Vec<Route> = (0u32..)
                .zip(routes)
                .map(|(output, (length, metric, table))| route(length, metric, table, output))
                .collect();
            let mine = || routes.iter().filter(|route| route.table == 7);
            match chosen(&routes, None).map(|(best, _)| best) {
                None => prop_assert_eq!(mine().count(), 0),
                Some(best) => for other in mine() {
                    let length = best.prefix.prefix_len().cmp(&other.prefix.prefix_len());
                    prop_assert!(length.then(other.metric.cmp(&best.metric)).is_ge());
                }
            }
        }
    }
}
