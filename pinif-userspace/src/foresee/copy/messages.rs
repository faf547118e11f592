//! What was read of a namespace, as messages that the kernel accepts for another.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use pinif_ebpf::key::IfIndex;

use crate::{
    foresee::{
        numbered::STAND_INS,
        wire::{ADDRESS, IFLA_IFNAME, INET, ROUTE, RTA_MULTIPATH, RTA_OIF, Raw, each_hop, push},
    },
    host::links::Link,
};

const RTNH_F_ONLINK: u8 = 4;

/// The networks that unicast routes lead to, each once.
pub(super) fn networks(routes: &[Raw]) -> BTreeSet<IpNet> {
    const RTN_UNICAST: u8 = 1;
    const RTA_DST: u16 = 1;
    let network = |route: &Raw| {
        if route.0[7] != RTN_UNICAST {
            return None;
        }
        let address = match route.find(ROUTE, RTA_DST) {
            Some(octets) => address(&octets)?,
            None if route.0[0] == INET => IpAddr::from([0; 4]),
            None => IpAddr::from([0; 16]),
        };
        // Of IPv4, midplanes have parts of 127.0.0.0/8 and 169.254.0.0/16: what is the host's own there is no unicast route. Of IPv6,
        // each interface has such a route, and a socket that sends there names the interface.
        let is_of_each_link = match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
        };
        let network = IpNet::new(address, route.0[1]).ok()?;
        (!is_of_each_link).then_some(network)
    };
    routes.iter().filter_map(network).collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(octets) {
        Ok(octets) => Some(octets.into()),
        Err(_) => Some(<[u8; 16]>::try_from(octets).ok()?.into()),
    }
}

/// A name, and the zero at its end, that no stand-in has.
pub(super) fn unused_name(index: IfIndex) -> Vec<u8> {
    format!("~{}\0", index.0).into_bytes()
}

/// The stand-in of an interface: a VRF, or one end of a pair whose other end stands for the index `far`.
pub(super) fn stand_in(link: &Link, far: u32) -> Raw {
    let mut info = Vec::new();
    let mut data = Vec::new();
    match link.vrf_table {
        Some(table) => {
            push(&mut info, 1, b"vrf\0");
            push(&mut data, 1, &table.to_ne_bytes());
        }
        None => {
            push(&mut info, 1, b"veth\0");
            let far = STAND_INS.stand_in(IfIndex(far));
            let peer = Raw::link(far, 0, 0).with(IFLA_IFNAME, &unused_name(far));
            push(&mut data, 1, &peer.0);
        }
    }
    push(&mut info, 2, &data);
    let mut name = link.name.clone().into_bytes();
    name.push(0);
    let index = STAND_INS.stand_in(link.index);
    Raw::link(index, 0, 0)
        .with(IFLA_IFNAME, &name)
        .with(18, &info)
}

/// An address as it can be added: without the detection of duplicates, and valid for as long as the copy exists.
pub(super) fn usable(address: &Raw) -> Raw {
    const IFA_CACHEINFO: u16 = 6;
    const IFA_FLAGS: u16 = 8;
    const IFA_F_NODAD: u32 = 2;
    const IFA_F_NOPREFIXROUTE: u32 = 0x200;
    let mut address = address.changed(ADDRESS, |kind, value| match kind {
        IFA_CACHEINFO => None,
        IFA_FLAGS => {
            let flags = value.try_into().map_or(0, u32::from_ne_bytes);
            Some(
                (flags & IFA_F_NOPREFIXROUTE | IFA_F_NODAD)
                    .to_ne_bytes()
                    .to_vec(),
            )
        }
        _ => Some(value),
    });
    address.0[2] = IFA_F_NODAD as u8;
    address
}

/// A rule as it can be added: of its flags, only that it is inverted is its own.
pub(super) fn rule_of(rule: &Raw) -> Raw {
    const FIB_RULE_INVERT: u32 = 2;
    let mut rule = rule.clone();
    let flags = u32::from_ne_bytes([rule.0[8], rule.0[9], rule.0[10], rule.0[11]]);
    rule.0[8..12].copy_from_slice(&(flags & FIB_RULE_INVERT).to_ne_bytes());
    rule
}

/// The same route, whose gateways are taken to be on their links.
pub(super) fn on_link(route: &Raw) -> Raw {
    let mut route = route.changed(ROUTE, |kind, mut value| {
        if kind == RTA_MULTIPATH {
            each_hop(&mut value, |hop| hop[2] |= RTNH_F_ONLINK);
        }
        Some(value)
    });
    route.0[8] |= RTNH_F_ONLINK;
    route
}

/// A route as it can be added: without what the kernel says of its state.
pub(super) fn route_of(route: &Raw) -> Raw {
    const RTA_GATEWAY: u16 = 5;
    const RTA_CACHEINFO: u16 = 12;
    const RTA_VIA: u16 = 18;
    const RTA_NH_ID: u16 = 30;
    let object = route.find(ROUTE, RTA_NH_ID).is_some();
    let mut route = route.changed(ROUTE, |kind, value| match kind {
        RTA_CACHEINFO => None,
        RTA_OIF | RTA_GATEWAY | RTA_VIA | RTA_MULTIPATH if object => None,
        RTA_MULTIPATH => {
            let mut hops = value;
            each_hop(&mut hops, |hop| hop[2] &= RTNH_F_ONLINK);
            Some(hops)
        }
        _ => Some(value),
    });
    // rtm_flags, in this machine's byte order, which is little-endian.
    route.0[8] &= RTNH_F_ONLINK;
    route.0[9..12].fill(0);
    route
}
