//! The addresses of a namespace's interfaces, and whose alone an address is.

use std::{collections::BTreeSet, net::IpAddr};

use netlink_packet_core::Parseable;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use pinif_ebpf::key::IfIndex;

use super::links::Links;

/// An address that an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalAddress {
    /// The address.
    pub address: IpAddr,
    /// The interface.
    pub index: IfIndex,
    /// The length of its prefix in bits.
    pub prefix_len: u8,
}

impl LocalAddress {
    /// Reads an `RTM_NEWADDR` or `RTM_DELADDR` message. None for families that are not IP.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let message = AddressMessage::parse(message).ok()?;
        let mut address = None;
        for attribute in &message.attributes {
            match attribute {
                // With a peer, IFA_ADDRESS is the peer's and IFA_LOCAL ours (linux/if_addr.h).
                AddressAttribute::Local(local) => {
                    address = Some(*local);
                    break;
                }
                AddressAttribute::Address(plain) => address = Some(*plain),
                _ => {}
            }
        }
        Some(Self {
            address: address?,
            index: IfIndex(message.header.index),
            prefix_len: message.header.prefix_len,
        })
    }
}

/// The addresses of one namespace, in whatever state they are: a tentative address is its interface's already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(BTreeSet<LocalAddress>);

impl Addresses {
    /// All, in the order of the addresses.
    pub fn iter(&self) -> impl Iterator<Item = &LocalAddress> {
        self.0.iter()
    }

    /// The addresses of an interface.
    pub fn of(&self, index: IfIndex) -> impl Iterator<Item = &LocalAddress> {
        self.iter().filter(move |address| address.index == index)
    }

    /// Adds an address.
    pub fn insert(&mut self, address: LocalAddress) {
        self.0.insert(address);
    }

    /// Forgets an address.
    pub fn remove(&mut self, address: &LocalAddress) {
        self.0.remove(address);
    }

    /// Forgets all of an interface's addresses.
    pub fn remove_interface(&mut self, index: IfIndex) {
        self.0.retain(|address| address.index != index);
    }

    /// The one interface that has this address.
    ///
    /// None where several have it (a VIP, an anycast address), where none has it, and where the interface sends
    /// nothing out of the machine (router-ids on loopback or dummy devices): such an address may leave by any interface.
    pub fn sole_owner(&self, address: IpAddr, links: &Links) -> Option<IfIndex> {
        let first = LocalAddress {
            address,
            index: IfIndex::NONE,
            prefix_len: 0,
        };
        let mut owners = self
            .0
            .range(first..)
            .take_while(|local| local.address == address)
            .map(|local| local.index);
        let owner = owners.next()?;
        // The same interface may have it with two prefix lengths.
        (owners.all(|other| other == owner) && names_an_interface(owner, links)).then_some(owner)
    }

    /// Every address that one interface alone has, with that interface, as [`Self::sole_owner`] finds it.
    pub fn sole_owners(&self, links: &Links) -> impl Iterator<Item = (IpAddr, IfIndex)> {
        let mut last = None;
        self.iter().filter_map(move |local| {
            let seen = last.replace(local.address) == Some(local.address);
            if seen {
                None
            } else {
                self.sole_owner(local.address, links)
                    .map(|owner| (local.address, owner))
            }
        })
    }
}

fn names_an_interface(index: IfIndex, links: &Links) -> bool {
    index != IfIndex::LOOPBACK && !links.get(index).is_some_and(|link| link.is_internal())
}

impl FromIterator<LocalAddress> for Addresses {
    fn from_iter<I: IntoIterator<Item = LocalAddress>>(addresses: I) -> Self {
        Self(addresses.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily;
    use proptest::prelude::*;

    use super::*;
    use crate::host::links::Link;

    fn local(address: &str, index: u32, prefix_len: u8) -> LocalAddress {
        LocalAddress {
            address: address.parse().expect("an address"),
            index: IfIndex(index),
            prefix_len,
        }
    }

    fn links() -> Links {
        Links::from_iter([
            Link {
                loopback: true,
                ..Link::new(IfIndex(1), "lo")
            },
            Link::new(IfIndex(2), "fab0"),
            Link::new(IfIndex(3), "eth1"),
            Link {
                kind: Some("dummy".to_owned()),
                ..Link::new(IfIndex(4), "router-id")
            },
        ])
    }

    #[test]
    fn an_address_is_owned_by_the_one_interface_that_has_it() {
        let addresses = Addresses::from_iter([
            local("10.0.0.1", 2, 24),
            local("10.0.0.1", 2, 32),
            local("fe80::1", 2, 64),
            local("fe80::1", 3, 64),
            local("192.0.2.1", 3, 24),
            local("127.0.0.1", 1, 8),
            local("198.51.100.1", 4, 32),
            local("203.0.113.5", 1, 32),
            local("203.0.113.5", 3, 32),
        ]);
        let owned: Vec<_> = addresses.sole_owners(&links()).collect();
        let expected = [("10.0.0.1", 2), ("192.0.2.1", 3)];
        assert_eq!(
            owned,
            expected.map(|(ip, index)| (ip.parse().expect("an address"), IfIndex(index)))
        );
        assert_eq!(
            addresses.sole_owner("9.9.9.9".parse().expect("an address"), &links()),
            None
        );
    }

    #[test]
    fn with_a_peer_the_local_address_counts() {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.index = 5;
        message.header.prefix_len = 32;
        message.attributes = vec![
            AddressAttribute::Address("10.9.9.2".parse().expect("an address")),
            AddressAttribute::Local("10.9.9.1".parse().expect("an address")),
        ];
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        assert_eq!(LocalAddress::decode(&bytes), Some(local("10.9.9.1", 5, 32)));
        assert_eq!(LocalAddress::decode(&bytes[..8]), None, "no address");
        assert_eq!(LocalAddress::decode(&bytes[..5]), None, "no header");
    }

    proptest! {
        #[test]
        fn sole_owners_and_sole_owner_agree(entries in proptest::collection::vec((0u8..6, 1u32..6, 0u8..3), 0..40)) {
            let addresses: Addresses = entries
                .iter()
                .map(|(host, index, prefix_len)| local(&format!("10.0.0.{host}"), *index, *prefix_len))
                .collect();
            let owned: Vec<_> = addresses.sole_owners(&links()).collect();
            for host in 0u8..6 {
                let address = IpAddr::from([10, 0, 0, host]);
                let holders: BTreeSet<_> =
                    entries.iter().filter(|(h, ..)| *h == host).map(|(_, index, _)| IfIndex(*index)).collect();
                let expected = match holders.first() {
                    Some(index) if holders.len() == 1 && ![1, 4].contains(&index.0) => Some(*index),
                    _ => None,
                };
                prop_assert_eq!(addresses.sole_owner(address, &links()), expected);
                let listed: Vec<_> = owned.iter().filter(|(a, _)| *a == address).map(|(_, index)| *index).collect();
                prop_assert_eq!(listed, Vec::from_iter(expected));
            }
        }

        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = LocalAddress::decode(&bytes);
        }
    }
}
