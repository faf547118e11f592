//! The destinations that a namespace has routes for, in whichever table.

use std::{collections::BTreeSet, io, ops::ControlFlow};

use ipnet::IpNet;
use netlink_packet_core::Parseable as _;
use netlink_packet_route::{
    AddressFamily,
    route::{RouteFlags, RouteMessage, RouteType},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::Route;
use crate::host::{netlink::Requester, netns::NetNs, numbering::Numbering};

/// How many routes are read of each family: as many as of a single table ([`super::in_table`]).
const ROUTES: usize = 10_000;

/// The prefixes of a namespace's routes to other hosts, the default ones among them.
///
/// # Errors
/// Where the kernel refuses netlink, or has too many routes, or they change while they are read.
pub fn prefixes(netns: &NetNs) -> io::Result<BTreeSet<IpNet>> {
    let mut prefixes = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        netns.run(|| read(family, &mut prefixes))??;
    }
    Ok(prefixes)
}

fn read(family: AddressFamily, prefixes: &mut BTreeSet<IpNet>) -> io::Result<()> {
    let mut all = RouteMessage::default();
    all.header.address_family = family;
    let mut read = 0;
    Requester::open(NETLINK_ROUTE)?.dump(libc::RTM_GETROUTE, &all, |kind, payload| {
        read += 1;
        if read > ROUTES {
            return ControlFlow::Break(());
        }
        if kind == libc::RTM_NEWROUTE
            && let Ok(message) = RouteMessage::parse(payload)
            && leads_elsewhere(&message)
        {
            prefixes.insert(Route::read(&message, Numbering::OWN).prefix.trunc());
        }
        ControlFlow::Continue(())
    })?;
    if read > ROUTES {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    Ok(())
}

/// Whether a route is one that packets leave by: not one to the host itself, to a group or a broadcast address, and none of the kernel's
/// own caches.
fn leads_elsewhere(message: &RouteMessage) -> bool {
    let header = &message.header;
    header.kind == RouteType::Unicast
        && header.table != libc::RT_TABLE_LOCAL
        && !header.flags.contains(RouteFlags::Cloned)
}
