//! The destinations that a namespace has routes for, in whichever table.

use std::{collections::BTreeSet, io};

use ipnet::IpNet;
use netlink_packet_route::{
    AddressFamily,
    route::{RouteFlags, RouteMessage, RouteType},
};

use super::{Route, dump::dump};
use crate::host::{netns::NetNs, numbering::Numbering};

/// The prefixes of a namespace's routes to other hosts, the default ones among them.
///
/// # Errors
/// Where the kernel refuses netlink, or has too many routes, or they change while they are read.
pub fn prefixes(netns: &NetNs) -> io::Result<BTreeSet<IpNet>> {
    let mut prefixes = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut all = RouteMessage::default();
        all.header.address_family = family;
        dump(netns, &all, |message| {
            if leads_elsewhere(message) {
                prefixes.insert(Route::read(message, Numbering::OWN).prefix.trunc());
            }
        })?;
    }
    Ok(prefixes)
}

/// Whether a route is one that packets leave by: not one to the host itself, to a group or a broadcast address, and none of the kernel's
/// own caches.
fn leads_elsewhere(message: &RouteMessage) -> bool {
    let header = &message.header;
    header.kind == RouteType::Unicast
        && header.table != libc::RT_TABLE_LOCAL
        && !header.flags.contains(RouteFlags::Cloned)
}
