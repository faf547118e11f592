//! What identifies things: network namespaces, interfaces, sockets, addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network namespace, by the cookie that the kernel gave it (`SO_NETNS_COOKIE`, `net->net_cookie`): unique until
/// the next boot, unlike the namespace's inode.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetNsCookie(pub u64);

/// A socket, by its cookie (`SO_COOKIE`, `sk->sk_cookie`). A request socket, the connection that comes of it and its
/// time-wait remains have the same one. Zero is no socket.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketCookie(pub u64);

/// An interface's index. It means something in one network namespace only. Zero is no interface.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(pub u32);

impl IfIndex {
    /// No interface: what an unpinned socket is bound to.
    pub const NONE: Self = Self(0);
    /// The loopback device of every namespace (`LOOPBACK_IFINDEX`).
    pub const LOOPBACK: Self = Self(1);

    /// Whether this names an interface at all.
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// An IP address of either family, in network byte order; IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
///
/// Aligned as a word, so that the programs copy and compare it by two words, not by sixteen bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 16]);

impl Address {
    /// The IPv6 unspecified address: no address at all.
    pub const UNSPECIFIED: Self = Self([0; 16]);
    /// Bits of an IPv4 prefix that precede the address's own 32.
    pub const V4_PREFIX: u8 = 96;

    /// An IPv4 address from its four octets.
    #[inline(always)]
    pub const fn v4(o: [u8; 4]) -> Self {
        Self([
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, o[0], o[1], o[2], o[3],
        ])
    }

    /// An IPv6 address from its sixteen octets.
    #[inline(always)]
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Whether this is `0.0.0.0` or `::`.
    #[inline(always)]
    pub fn is_unspecified(&self) -> bool {
        *self == Self::UNSPECIFIED || *self == Self::v4([0; 4])
    }

    /// Its two words, as memory has them.
    #[inline(always)]
    pub fn words(&self) -> [u64; 2] {
        // SAFETY: sixteen bytes, aligned as a word.
        unsafe { core::ptr::from_ref(self).cast::<[u64; 2]>().read() }
    }

    /// The address that has these two words.
    #[inline(always)]
    pub(crate) const fn of_words(words: [u64; 2]) -> Self {
        // SAFETY: of the same size, and any bytes are an address.
        Self(unsafe { core::mem::transmute::<[u64; 2], [u8; 16]>(words) })
    }

    /// The address as the standard library knows it.
    pub fn ip(&self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self.0)).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Self {
        Self::v4(address.octets())
    }
}

/// The sending end of a flow. One entry a socket: it identifies a copy of a pinned socket's packet, which carries no socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The namespace that it sends in.
    pub netns: NetNsCookie,
    /// The source address.
    pub address: Address,
    /// The source port, in host byte order; the identifier of an ICMP echo; zero for protocols that have neither.
    pub port: u16,
    /// The IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub _pad: [u8; 5],
}

impl Endpoint {
    /// The endpoint of a namespace; the port is in host byte order.
    #[inline(always)]
    pub const fn of(netns: NetNsCookie, address: Address, port: u16, protocol: u8) -> Self {
        Self {
            netns,
            address,
            port,
            protocol,
            _pad: [0; 5],
        }
    }
}

/// An interface of a namespace, as the kernel maps are keyed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The interface.
    pub interface: IfIndex,
    /// Which of the two policies held in the maps this is said of ([`crate::policy::Slot`]).
    pub slot: u32,
}

/// A local address of a namespace, as the kernel map of sole owners is keyed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The address.
    pub address: Address,
}

const _: () = assert!(size_of::<Endpoint>() == 32);
const _: () = assert!(size_of::<InterfaceKey>() == 16);
const _: () = assert!(size_of::<AddressKey>() == 24);

#[cfg(feature = "user")]
mod pod {
    use super::{Address, AddressKey, Endpoint, IfIndex, InterfaceKey, NetNsCookie, SocketCookie};
    // SAFETY: all are `repr(C)` or transparent, made of integers, without implicit padding (sizes asserted above).
    unsafe impl aya::Pod for Address {}
    // SAFETY: as above.
    unsafe impl aya::Pod for AddressKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Endpoint {}
    // SAFETY: as above.
    unsafe impl aya::Pod for IfIndex {}
    // SAFETY: as above.
    unsafe impl aya::Pod for InterfaceKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for NetNsCookie {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SocketCookie {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_family_through_the_kernel() {
        for text in [
            "10.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "fe80::1",
            "2001:db8::9",
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Address::from(ip).ip(), ip);
        }
    }

    #[test]
    fn only_the_two_unspecified_addresses_are_unspecified() {
        assert!(Address::from(IpAddr::from([0, 0, 0, 0])).is_unspecified());
        assert!(Address::from(IpAddr::from([0u16; 8])).is_unspecified());
        assert!(!Address::v4([10, 0, 0, 1]).is_unspecified());
    }
}
