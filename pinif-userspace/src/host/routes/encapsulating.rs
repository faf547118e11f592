//! The routes that may have encapsulated a packet.

use std::{io, net::IpAddr};

use netlink_packet_route::{
    AddressFamily,
    route::{RouteAttribute, RouteFlags, RouteMessage},
};

use super::{Encapsulation, Hop, Route, dump::dump};
use crate::host::{netns::NetNs, numbering::Numbering};

/// The routes of a namespace whose packets go to an address, which is not their own destination. Those of a next-hop object are among them, which the
/// kernel reports with their route (`net.ipv4.nexthop_compat_mode`). Of several next hops, each is one.
///
/// # Errors
/// Where the kernel refuses netlink, or has too many routes, or they change while they are read.
pub fn encapsulating(netns: &NetNs, to: IpAddr) -> io::Result<Vec<Route>> {
    let IpAddr::V6(to) = to else {
        return Ok(Vec::new());
    };
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet6, AddressFamily::Inet] {
        let mut all = RouteMessage::default();
        all.header.address_family = family;
        dump(netns, &all, |message| {
            if message.header.flags.contains(RouteFlags::Cloned) {
                return;
            }
            let is_there = |of: &Encapsulation| of.to == Some(to);
            if Encapsulation::read(&message.attributes).is_some_and(|of| is_there(&of)) {
                routes.push(Route::read(message, Numbering::OWN));
            }
            routes.extend(by_hops(message).filter(|route| {
                let encapsulation = route.encapsulation.as_ref();
                encapsulation.is_some_and(is_there)
            }));
        })?;
    }
    Ok(routes)
}

/// A route by each of its next hops that encapsulates.
fn by_hops(message: &RouteMessage) -> impl Iterator<Item = Route> {
    let hops = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => Some(&hops[..]),
            _ => None,
        });
    hops.unwrap_or_default().iter().filter_map(|hop| {
        let encapsulation = Encapsulation::read(&hop.attributes)?;
        let Hop {
            gateway,
            output,
            is_onlink,
            ..
        } = Hop::read(hop, Numbering::OWN);
        Some(Route {
            gateway,
            output,
            is_onlink,
            encapsulation: Some(encapsulation),
            ..Route::read(message, Numbering::OWN)
        })
    })
}
