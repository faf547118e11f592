//! The attributes of netlink messages (netlink(7)), and the text in them.

use netlink_packet_core::{NlaBuffer, NlasIterator};

/// The attributes one after the other, as far as they are well formed.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// The value of the first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<Vec<u8>> {
    let found = attributes(bytes).find(|nla| nla.kind() == kind)?;
    Some(found.value().to_vec())
}

/// A number as netfilter writes it: of four bytes, the highest first.
pub(super) fn be_number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// The text before the first zero. The kernel takes any bytes for a name, and none of them must hide an interface: those that
/// are no UTF-8 show as U+FFFD.
pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(until_zero(value)).into_owned()
}

/// The bytes before the first zero.
pub(super) fn until_zero(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}
