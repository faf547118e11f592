//! The kernel's answers about a namespace's routing, with the indexes that its interfaces have in a copy.

use pinif_ebpf::key::IfIndex;

use super::wire::{ADDRESS, HOP, ROUTE, RTA_MULTIPATH, RTA_OIF, Raw, each_hop};
use crate::host::numbering::Numbering;

/// How the interfaces of a copy are numbered.
pub(super) const STAND_INS: Numbering = Numbering::STAND_INS;

/// Where `struct ifinfomsg`, `struct ifaddrmsg` and `struct rtnexthop` have the index.
const INDEX: usize = 4;

/// The interface of a link's message, as it is numbered there.
pub(super) fn interface(link: &Raw) -> IfIndex {
    link.0.get(INDEX..).map_or(IfIndex::NONE, read)
}

/// An address (`struct ifaddrmsg`).
pub(super) fn address(address: &Raw) -> Raw {
    let mut address = address.clone();
    debug_assert!(address.0.len() >= ADDRESS, "a header");
    if let Some(index) = address.0.get_mut(INDEX..) {
        change(index);
    }
    address
}

/// A next hop (`struct nhmsg`).
pub(super) fn hop(hop: &Raw) -> Raw {
    const NHA_OIF: u16 = 5;
    hop.changed(HOP, |kind, mut value| {
        if kind == NHA_OIF {
            change(&mut value);
        }
        Some(value)
    })
}

/// A route (`struct rtmsg`), and each of its next hops.
pub(super) fn route(route: &Raw) -> Raw {
    route.changed(ROUTE, |kind, mut value| {
        match kind {
            RTA_OIF => change(&mut value),
            RTA_MULTIPATH => each_hop(&mut value, |header| change(&mut header[INDEX..])),
            _ => {}
        }
        Some(value)
    })
}

fn read(bytes: &[u8]) -> IfIndex {
    let index = bytes.first_chunk().copied();
    index.map_or(IfIndex::NONE, |index| IfIndex(u32::from_ne_bytes(index)))
}

fn change(bytes: &mut [u8]) {
    let index = STAND_INS.stand_in(read(bytes));
    if let Some(bytes) = bytes.first_chunk_mut() {
        *bytes = index.0.to_ne_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(index: u32) -> [u8; 4] {
        STAND_INS.stand_in(IfIndex(index)).0.to_ne_bytes()
    }

    #[test]
    fn addresses_and_next_hops_are_of_the_stand_ins() {
        let dumped = Raw::link(IfIndex(3), 0, 0);
        assert_eq!(interface(&dumped), IfIndex(3));
        let dumped = Raw(dumped.0[..ADDRESS].to_vec());
        assert_eq!(address(&dumped).0[INDEX..ADDRESS], number(3));
        let dumped = Raw::question(HOP, 0).with(5, &3u32.to_ne_bytes());
        assert_eq!(hop(&dumped).find(HOP, 5).as_deref(), Some(&number(3)[..]));
    }

    #[test]
    fn each_next_hop_of_a_route_is_by_a_stand_in() {
        let one = |index: u32| [vec![8, 0, 0, 0], index.to_ne_bytes().to_vec()].concat();
        let dumped = Raw::question(ROUTE, 2)
            .with(RTA_OIF, &1u32.to_ne_bytes())
            .with(RTA_MULTIPATH, &[one(3), one(4)].concat());
        let copied = route(&dumped);
        let hops = copied.find(ROUTE, RTA_MULTIPATH).expect("next hops");
        assert_eq!(
            (&hops[4..8], &hops[12..16]),
            (&number(3)[..], &number(4)[..])
        );
        // Loopback is itself.
        assert_eq!(
            copied.find(ROUTE, RTA_OIF),
            Some(1u32.to_ne_bytes().to_vec())
        );
    }
}
