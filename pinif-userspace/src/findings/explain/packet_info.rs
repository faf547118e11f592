//! The control message by which a program names address and interface of one datagram.

use std::{fmt, net::IpAddr};

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
