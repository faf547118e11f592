//! By what a program names an interface with its packets.

use std::net::{IpAddr, Ipv6Addr};

use crate::findings::{
    decode::{Headers, Sighted},
    explain::PacketInfo,
};

/// The options and messages by which it may have named one, of a datagram with these headers.
pub(super) fn named_by(sighted: &Sighted, headers: &Headers) -> &'static str {
    let to = headers.destination;
    match (to, PacketInfo::of(sighted.family, to)) {
        (IpAddr::V6(to), _) => match (to.is_multicast(), takes_scope(to)) {
            (true, true) => "IPV6_MULTICAST_IF, IPV6_PKTINFO or sin6_scope_id",
            (true, false) => "IPV6_MULTICAST_IF or IPV6_PKTINFO",
            (false, true) => "sin6_scope_id",
            (false, false) => "IPV6_PKTINFO or IPV6_UNICAST_IF",
        },
        (IpAddr::V4(to), PacketInfo::Either) if to.is_multicast() => {
            "IP_MULTICAST_IF, IP_PKTINFO or IPV6_PKTINFO"
        }
        (IpAddr::V4(_), PacketInfo::Either) => "IP_PKTINFO, IPV6_PKTINFO or IP_UNICAST_IF",
        (IpAddr::V4(to), _) if to.is_multicast() => "IP_MULTICAST_IF or IP_PKTINFO",
        (IpAddr::V4(_), _) => "IP_PKTINFO or IP_UNICAST_IF",
    }
}

/// Whether the kernel looks at the `sin6_scope_id` of such a destination (`__ipv6_addr_needs_scope_id`): of a link-local address, and of
/// a group whose scope is the interface or the link (RFC 4291, 2.7).
pub(in crate::findings) fn takes_scope(to: Ipv6Addr) -> bool {
    let scope = to.octets()[1] & 0xf;
    to.is_unicast_link_local() || to.is_multicast() && matches!(scope, 1 | 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_of_one_link() {
        for (address, takes) in [
            ("fe80::2", true),
            ("ff01::1", true),
            ("ff02::1:3", true),
            ("ff12::7", true),
            ("ff05::7", false),
            ("ff0e::7", false),
            ("fd00::2", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(takes_scope(address), takes, "{address}");
        }
    }
}
