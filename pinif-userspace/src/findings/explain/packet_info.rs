//! The control message by which a program names address and interface of one datagram, and by what else it may name an interface.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Which control message that is, as ip(7) and ipv6(7) have them (RFC 3542, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketInfo {
    /// Of IPv4.
    V4,
    /// Of IPv6. With another interface than that of a bound socket it fails (`ip6_datagram_send_ctl`).
    V6,
    /// Either: a socket of IPv6 sends IPv4, to an address that is mapped (`ip_cmsg_send`). Neither fails.
    Either,
}

impl PacketInfo {
    /// Of a socket of this family (`AF_INET`, …), with what it sends to this address.
    pub fn of(family: i32, destination: IpAddr) -> Self {
        match destination {
            IpAddr::V6(_) => Self::V6,
            IpAddr::V4(_) if family == libc::AF_INET6 => Self::Either,
            IpAddr::V4(_) => Self::V4,
        }
    }

    /// Whether the packet is of IPv6.
    pub fn is_ipv6(self) -> bool {
        self == Self::V6
    }

    /// Its name, or their names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IP_PKTINFO",
            Self::V6 => "IPV6_PKTINFO",
            Self::Either => "IP_PKTINFO or IPV6_PKTINFO",
        }
    }

    /// Their fields for the interface's index.
    pub const fn indexes(self) -> &'static str {
        match self {
            Self::V4 => "IP_PKTINFO's ipi_ifindex",
            Self::V6 => "IPV6_PKTINFO's ipi6_ifindex",
            Self::Either => "IP_PKTINFO's ipi_ifindex or IPV6_PKTINFO's ipi6_ifindex",
        }
    }

    /// The fields' names.
    pub const fn index(self) -> &'static str {
        match self {
            Self::V4 => "ipi_ifindex",
            Self::V6 => "ipi6_ifindex",
            Self::Either => "ipi_ifindex or ipi6_ifindex",
        }
    }
}

impl fmt::Display for PacketInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The options and messages by which a program may have named the interface of a datagram to this destination (`udp_sendmsg`,
/// `udpv6_sendmsg`).
pub(in crate::findings) fn naming(to: IpAddr, info: PacketInfo) -> &'static str {
    match (to, info) {
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
