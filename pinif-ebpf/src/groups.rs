//! The options of `setsockopt()` by which a socket joins a group, leaves it, or says of which sources it wants it: where an option's
//! value has the interface, and where the group. The kernel reports each by IGMP (RFC 3376) or MLD (RFC 3810), via that interface,
//! with the addresses that the process chose.
//!
//! Where an option names no interface, a route to the group chooses one, whatever the socket is bound to (`ip_mc_find_dev`,
//! `__ipv6_sock_mc_join`).

use crate::key::{Address, IfIndex};

const SOL_IP: i32 = 0;
const SOL_IPV6: i32 = 41;

const IP_ADD_MEMBERSHIP: i32 = 35;
const IP_UNBLOCK_SOURCE: i32 = 37;
const IP_BLOCK_SOURCE: i32 = 38;
const IP_ADD_SOURCE_MEMBERSHIP: i32 = 39;
const IP_DROP_SOURCE_MEMBERSHIP: i32 = 40;
const IP_MSFILTER: i32 = 41;
/// `MCAST_JOIN_GROUP`, the first of those that name an interface by its index, and `MCAST_MSFILTER`, the last.
const MCAST: core::ops::RangeInclusive<i32> = 42..=48;
const IPV6_ADD_MEMBERSHIP: i32 = 20;
const IPV6_JOIN_ANYCAST: i32 = 27;

/// The bytes of a `struct ip_mreq`, which has no index of the interface.
pub const MREQ: i32 = 8;
/// The bytes of a `struct ip_mreqn`, which has one.
pub const MREQN: i32 = 12;
/// Where the index is in a `struct ip_mreqn`.
pub const MREQN_INDEX: usize = 8;
/// Where an address of the interface is in a `struct ip_mreq`, `ip_mreqn`, `ip_mreq_source` and `ip_msfilter`.
pub const INTERFACE_ADDRESS: usize = 4;

/// How an option names the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// By its index, which is here in the value.
    Index(usize),
    /// By its index at [`MREQN_INDEX`], in a value that is long enough; where that is zero, by an address ([`INTERFACE_ADDRESS`]).
    IndexOrAddress,
    /// By an address ([`INTERFACE_ADDRESS`]).
    Address,
}

/// Where an option has the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    V4(usize),
    V6(usize),
}

/// An option about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How it names the interface.
    pub interface: Interface,
    group: Group,
}

/// Which interface an option names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The one with this index.
    Index(IfIndex),
    /// The one that has this address (`__ip_dev_find`).
    Address(Address),
    /// None: a route chooses it.
    None,
}

/// What an option of this level and name is about. None of one that is about no group.
///
/// What only leaves a group is among these where it names a source: it is reported as well, with that source.
#[inline(always)]
pub fn request(level: i32, name: i32) -> Option<Request> {
    let (interface, group) = match (level, name) {
        (SOL_IP, IP_ADD_MEMBERSHIP) => (Interface::IndexOrAddress, Group::V4(0)),
        (
            SOL_IP,
            IP_UNBLOCK_SOURCE
            | IP_BLOCK_SOURCE
            | IP_ADD_SOURCE_MEMBERSHIP
            | IP_DROP_SOURCE_MEMBERSHIP
            | IP_MSFILTER,
        ) => (Interface::Address, Group::V4(0)),
        // A `struct sockaddr_storage` behind the index: `sockaddr_in` or `sockaddr_in6`, as the level has it.
        (SOL_IP, name) if MCAST.contains(&name) => (Interface::Index(0), Group::V4(12)),
        (SOL_IPV6, name) if MCAST.contains(&name) => (Interface::Index(0), Group::V6(16)),
        (SOL_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_JOIN_ANYCAST) => (Interface::Index(16), Group::V6(0)),
        _ => return None,
    };
    Some(Request { interface, group })
}

/// The value of an option, word by word.
pub trait Words {
    /// The four bytes there, as memory has them. None beyond the value.
    fn word(&self, at: usize) -> Option<u32>;
}

impl Request {
    /// The interface that the option names; none of a value that is too short, which the kernel refuses.
    ///
    /// Behind a `struct ip_mreq` are zeros, which are no index: the kernel's copy of a value has room for 16 bytes at least, and is zero
    /// beyond it (`__cgroup_bpf_run_filter_setsockopt`).
    #[inline(always)]
    pub fn named(&self, value: &impl Words) -> Option<Named> {
        let by_address = || match value.word(INTERFACE_ADDRESS)? {
            0 => Some(Named::None),
            address => Some(Named::Address(Address::v4(address.to_ne_bytes()))),
        };
        match self.interface {
            Interface::Address => by_address(),
            Interface::Index(at) => match value.word(at)? {
                0 => Some(Named::None),
                index => Some(Named::Index(IfIndex(index))),
            },
            Interface::IndexOrAddress => match value.word(MREQN_INDEX)? {
                0 => by_address(),
                index => Some(Named::Index(IfIndex(index))),
            },
        }
    }

    /// Whether the value has, or has room for, an index of the interface; and where.
    #[inline(always)]
    pub const fn place_of_index(&self) -> Option<usize> {
        match self.interface {
            Interface::Index(at) => Some(at),
            Interface::IndexOrAddress => Some(MREQN_INDEX),
            Interface::Address => None,
        }
    }

    /// The group; none of a value that is too short.
    #[inline(always)]
    pub fn group(&self, value: &impl Words) -> Option<Address> {
        match self.group {
            Group::V4(at) => Some(Address::v4(value.word(at)?.to_ne_bytes())),
            Group::V6(at) => {
                let [a, b, c, d] = value.word(at)?.to_ne_bytes();
                let [e, f, g, h] = value.word(at + 4)?.to_ne_bytes();
                let [i, j, k, l] = value.word(at + 8)?.to_ne_bytes();
                let [m, n, o, p] = value.word(at + 12)?.to_ne_bytes();
                Some(Address::v6([
                    a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
                ]))
            }
        }
    }

    /// The unspecified address of the group's family.
    #[inline(always)]
    pub const fn unspecified(&self) -> Address {
        match self.group {
            Group::V4(_) => Address::v4([0; 4]),
            Group::V6(_) => Address::UNSPECIFIED,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    struct Value(Vec<u8>);

    impl Words for Value {
        fn word(&self, at: usize) -> Option<u32> {
            let word = self.0.get(at..at + 4)?;
            Some(u32::from_ne_bytes(word.try_into().expect("four bytes")))
        }
    }

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);
    const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0xc0de);
    const OF_INTERFACE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn read(level: i32, name: i32, parts: &[&[u8]]) -> (Option<Named>, Option<Address>) {
        let request = request(level, name).expect("about a group");
        let value = Value(parts.concat());
        (request.named(&value), request.group(&value))
    }

    /// `struct group_req`, `group_source_req` and `group_filter` begin like this.
    fn by_storage(index: u32, level: i32) -> Vec<u8> {
        let group = if level == SOL_IP {
            [&[2, 0, 0, 0][..], &GROUP.octets()].concat()
        } else {
            [&[10, 0, 0, 0, 1, 2, 3, 4][..], &GROUP_V6.octets()].concat()
        };
        [&index.to_ne_bytes()[..], &[0; 4], &group].concat()
    }

    #[test]
    fn a_membership_names_the_interface_by_its_index_before_an_address() {
        let [group, address] = [GROUP.octets(), OF_INTERFACE.octets()];
        let read = |address: [u8; 4], index: u32| {
            let index = index.to_ne_bytes();
            read(SOL_IP, IP_ADD_MEMBERSHIP, &[&group, &address, &index])
        };
        let joined = Some(Address::from(GROUP));
        let by_index = Some(Named::Index(IfIndex(3)));
        assert_eq!(read(address, 3), (by_index, joined));
        assert_eq!(read([0; 4], 3), (by_index, joined));
        let by_address = Some(Named::Address(OF_INTERFACE.into()));
        assert_eq!(read(address, 0), (by_address, joined));
        assert_eq!(read([0; 4], 0), (Some(Named::None), joined));
    }

    #[test]
    fn what_has_a_source_names_the_interface_by_an_address() {
        for name in 37..=41 {
            let parts = [GROUP.octets(), OF_INTERFACE.octets(), [192, 0, 2, 1]];
            let named = Some(Named::Address(OF_INTERFACE.into()));
            let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
            assert_eq!(read(SOL_IP, name, &parts), (named, Some(GROUP.into())));
        }
        let none = [&GROUP.octets()[..], &[0; 8]].concat();
        assert_eq!(read(SOL_IP, 39, &[&none]).0, Some(Named::None));
    }

    #[test]
    fn what_both_families_have_names_the_interface_by_its_index() {
        for name in 42..=48 {
            for (level, group) in [
                (SOL_IP, GROUP.into()),
                (SOL_IPV6, IpAddr::V6(GROUP_V6).into()),
            ] {
                let named = Some(Named::Index(IfIndex(7)));
                let value = by_storage(7, level);
                assert_eq!(read(level, name, &[&value]), (named, Some(group)));
                let value = by_storage(0, level);
                assert_eq!(read(level, name, &[&value]).0, Some(Named::None));
            }
        }
        for name in [IPV6_ADD_MEMBERSHIP, IPV6_JOIN_ANYCAST] {
            let value = [&GROUP_V6.octets()[..], &7u32.to_ne_bytes()].concat();
            let named = Some(Named::Index(IfIndex(7)));
            assert_eq!(
                read(SOL_IPV6, name, &[&value]),
                (named, Some(IpAddr::V6(GROUP_V6).into()))
            );
        }
    }

    #[test]
    fn a_value_that_is_too_short_names_nothing() {
        for (level, name) in [
            (SOL_IP, IP_ADD_MEMBERSHIP),
            (SOL_IP, 39),
            (SOL_IP, 42),
            (SOL_IPV6, 42),
            (SOL_IPV6, 20),
        ] {
            assert_eq!(read(level, name, &[&[0; 3]]), (None, None));
        }
        assert_eq!(read(SOL_IPV6, 46, &[&[0; 31]]), (Some(Named::None), None));
    }

    #[test]
    fn other_options_are_about_no_group() {
        for (level, name) in [
            (SOL_IP, 32), // IP_MULTICAST_IF
            (SOL_IP, 36), // IP_DROP_MEMBERSHIP
            (SOL_IP, 49),
            (SOL_IPV6, 17), // IPV6_MULTICAST_IF
            (SOL_IPV6, 21), // IPV6_DROP_MEMBERSHIP
            (SOL_IPV6, 35),
            (1, 42),
            (17, 35),
        ] {
            assert_eq!(request(level, name), None, "{level} {name}");
        }
    }
}
