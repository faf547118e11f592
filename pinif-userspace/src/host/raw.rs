//! Netlink messages as bytes: what has no type in a crate, or is passed on attribute by attribute, so that attributes which pinif does
//! not know go with it.

use netlink_packet_core::Emitable;
use pinif_ebpf::key::IfIndex;

use super::attributes::attributes;

/// A message's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw(pub Vec<u8>);

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

    /// The same, with one more attribute that holds others (`NLA_F_NESTED`).
    pub fn with_nested(self, kind: u16, inner: &Self) -> Self {
        const NLA_F_NESTED: u16 = 1 << 15;
        self.with(kind | NLA_F_NESTED, &inner.0)
    }

    /// The attributes after a header.
    pub fn attributes(&self, header: usize) -> Vec<(u16, Vec<u8>)> {
        let bytes = self.0.get(header..).unwrap_or_default();
        attributes(bytes)
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
pub(crate) fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
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
