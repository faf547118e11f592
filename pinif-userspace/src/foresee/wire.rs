//! rtnetlink messages as bytes: what a dump returns is added to another namespace attribute by attribute, so that attributes
//! which pinif does not know are copied too.

use netlink_packet_core::{Emitable, NlasIterator};
use pinif_ebpf::key::IfIndex;

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

/// A message's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw(pub Vec<u8>);

impl Emitable for Raw {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Raw {
    /// A fixed header of so many bytes, of which the first is the family.
    pub fn question(length: usize, family: u8) -> Self {
        let mut bytes = vec![0; length];
        bytes[0] = family;
        Self(bytes)
    }

    /// `struct ifinfomsg` (linux/rtnetlink.h).
    pub fn link(index: IfIndex, flags: u32, change: u32) -> Self {
        let mut bytes = vec![0; 4];
        for word in [index.0, flags, change] {
            bytes.extend(word.to_ne_bytes());
        }
        Self(bytes)
    }

    /// The same, with one more attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        push(&mut self.0, kind, value);
        self
    }

    /// The attributes after a header.
    pub fn attributes(&self, header: usize) -> Vec<(u16, Vec<u8>)> {
        let bytes = self.0.get(header..).unwrap_or_default();
        NlasIterator::new(bytes)
            .map_while(Result::ok)
            .map(|nla| (nla.kind(), nla.value().to_vec()))
            .collect()
    }

    /// The value of an attribute.
    pub fn find(&self, header: usize, kind: u16) -> Option<Vec<u8>> {
        let mut all = self.attributes(header).into_iter();
        all.find(|(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// The same with each attribute as `change` gives it back; without those for which it gives none.
    pub fn changed(&self, header: usize, change: impl Fn(u16, Vec<u8>) -> Option<Vec<u8>>) -> Self {
        let mut bytes = self.0[..header.min(self.0.len())].to_vec();
        for (kind, value) in self.attributes(header) {
            if let Some(value) = change(kind, value) {
                push(&mut bytes, kind, &value);
            }
        }
        Self(bytes)
    }
}

/// Adds an attribute (`struct nlattr`), padded to four bytes.
pub(super) fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_changed_and_taken() {
        let raw = Raw::question(12, 2)
            .with(1, &[9])
            .with(7, b"fab0\0")
            .with(12, &[0; 32]);
        let changed = raw.changed(12, |kind, value| (kind != 12).then_some(value));
        assert_eq!(
            changed,
            Raw::question(12, 2).with(1, &[9]).with(7, b"fab0\0")
        );
        assert_eq!(changed.0.len(), 12 + 8 + 12);
        assert_eq!(changed.find(12, 7).as_deref(), Some(&b"fab0\0"[..]));
        assert_eq!(Raw(vec![1]).attributes(12), []);
    }
}
