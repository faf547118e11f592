//! rtnetlink messages as bytes: what a dump returns is added to another namespace attribute by attribute, so that attributes
//! which pinif does not know are copied too.

pub(super) use crate::host::raw::{Raw, push};

pub(super) const INET: u8 = libc::AF_INET as u8;
pub(super) const INET6: u8 = libc::AF_INET6 as u8;
/// Lengths of the fixed headers (linux/rtnetlink.h, linux/fib_rules.h, linux/nexthop.h, linux/if_addr.h).
pub(super) const ROUTE: usize = 12;
pub(super) const RULE: usize = 12;
pub(super) const HOP: usize = 8;
pub(super) const ADDRESS: usize = 8;
/// `RTM_NEWNEXTHOP`, `RTM_GETNEXTHOP`.
pub(super) const NEW_HOP: u16 = 104;
pub(super) const GET_HOP: u16 = 106;
pub(super) const IFF_UP: u32 = libc::IFF_UP as u32;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const RTA_OIF: u16 = 4;
pub(super) const RTA_MULTIPATH: u16 = 9;

/// Shows the header of each next hop of a route (`struct rtnexthop`: two bytes of length, one of flags, one of weight, four of
/// the interface).
pub(super) fn each_hop(hops: &mut [u8], change: impl Fn(&mut [u8; 8])) {
    let mut at = 0;
    while let Some(header) = hops.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        change(header);
        at += length.max(8).next_multiple_of(4);
    }
}
