//! The routes that may have encapsulated a packet.

use std::{io, net::IpAddr};

use netlink_packet_route::{
    AddressFamily,
    route::{RouteFlags, RouteMessage},
};

use super::{Encapsulation, Route, dump::dump};
use crate::host::{netns::NetNs, numbering::Numbering};

/// The routes of a namespace whose outer packets go to an address.
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
            let is_there = Encapsulation::read(message).is_some_and(|one| one.to == Some(to));
            if is_there && !message.header.flags.contains(RouteFlags::Cloned) {
                routes.push(Route::read(message, Numbering::OWN));
            }
        })?;
    }
    Ok(routes)
}
