//! The fixed part of an IP header alone: all that most packets are looked at for where they arrive.

use super::{Bytes, Header, ethertype};
use crate::key::Address;

/// What the fixed part of a header says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// The source address.
    pub source: Address,
    /// The destination address.
    pub destination: Address,
    /// The length of the whole packet in bytes, as it says itself; zero where it says nothing (a jumbogram, RFC 2675).
    pub total: u32,
    /// The length of this header in bytes, IPv4 options included.
    pub length: u16,
    /// The protocol or extension header that comes next.
    pub next: u8,
    /// Whether it is an IPv4 fragment after the first.
    pub later_fragment: bool,
}

/// A header in whole words, which the programs then read as such: of a header made of bytes, they would read each.
#[repr(C)]
#[derive(Clone, Copy)]
struct Words<const N: usize>([u32; N]);

// SAFETY: integers.
unsafe impl<const N: usize> Header for Words<N> {}

/// Reads the fixed part of the IP header that `kind` announces. False for what is no IP packet, and for what `ip_rcv` and
/// `ipv6_rcv` drop: a header that is cut short, or of another version.
#[inline(always)]
pub fn read(kind: u16, packet: &impl Bytes, place: &mut Base) -> bool {
    match kind {
        ethertype::IPV4 => packet.load(0).is_some_and(|header| v4(&header, place)),
        ethertype::IPV6 => packet.load(0).is_some_and(|header| v6(&header, place)),
        _ => false,
    }
}

/// RFC 791, 3.1.
#[inline(always)]
fn v4(Words(header): &Words<5>, place: &mut Base) -> bool {
    let first = u32::from_be(header[0]);
    let length = (first >> 22 & 0x3c) as u16;
    if first >> 28 != 4 || length < 20 {
        return false;
    }
    place.source = address([0, 0, V4_MAPPED, header[3]]);
    place.destination = address([0, 0, V4_MAPPED, header[4]]);
    place.total = first & 0xffff;
    place.length = length;
    place.next = (u32::from_be(header[2]) >> 16) as u8;
    place.later_fragment = u32::from_be(header[1]) & 0x1fff != 0;
    true
}

/// RFC 8200, 3.
#[inline(always)]
fn v6(Words(header): &Words<10>, place: &mut Base) -> bool {
    let second = u32::from_be(header[1]);
    if u32::from_be(header[0]) >> 28 != 6 {
        return false;
    }
    place.source = address([header[2], header[3], header[4], header[5]]);
    place.destination = address([header[6], header[7], header[8], header[9]]);
    place.total = if second >> 16 == 0 {
        0
    } else {
        (second >> 16) + 40
    };
    place.length = 40;
    place.next = (second >> 8) as u8;
    place.later_fragment = false;
    true
}

/// The third word of an IPv4 address as IPv6 maps it (RFC 4291, 2.5.5.2).
const V4_MAPPED: u32 = 0xffff_u32.to_be();

#[inline(always)]
const fn address(words: [u32; 4]) -> Address {
    // SAFETY: sixteen bytes either way, of any values.
    Address(unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slice<'a>(&'a [u8]);

    impl Bytes for Slice<'_> {
        fn load<T: Header>(&self, offset: usize) -> Option<T> {
            let bytes = self.0.get(offset..offset + size_of::<T>())?;
            // SAFETY: as many bytes as a `T` has, and any bytes are one.
            Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
        }
    }

    fn read(kind: u16, bytes: &Slice<'_>) -> Option<Base> {
        let mut base = Base::default();
        super::read(kind, bytes, &mut base).then_some(base)
    }

    #[test]
    fn a_header_alone_is_read() {
        let mut bytes = [0; 20];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&20u16.to_be_bytes());
        assert!(read(ethertype::IPV4, &Slice(&bytes)).is_some());
        assert!(read(ethertype::IPV4, &Slice(&bytes[..19])).is_none());
    }

    #[test]
    fn an_ipv4_header_says_where_from_and_where_to() {
        let mut bytes = [0; 24];
        bytes[0] = 0x46;
        bytes[2..4].copy_from_slice(&1500u16.to_be_bytes());
        bytes[7] = 1;
        bytes[9] = 17;
        bytes[12..16].copy_from_slice(&[10, 0, 0, 2]);
        bytes[16..20].copy_from_slice(&[10, 0, 0, 1]);
        let expected = Base {
            source: Address::v4([10, 0, 0, 2]),
            destination: Address::v4([10, 0, 0, 1]),
            total: 1500,
            length: 24,
            next: 17,
            later_fragment: true,
        };
        assert_eq!(read(ethertype::IPV4, &Slice(&bytes)), Some(expected));
        assert_eq!(read(ethertype::IPV6, &Slice(&bytes)), None);
        assert_eq!(read(ethertype::IPV4, &Slice(&bytes[..19])), None);
        bytes[0] = 0x44;
        assert_eq!(read(ethertype::IPV4, &Slice(&bytes)), None);
        assert_eq!(read(ethertype::VLAN, &Slice(&bytes)), None);
    }

    #[test]
    fn an_ipv6_header_says_so_too() {
        let mut bytes = [0; 40];
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&100u16.to_be_bytes());
        bytes[6] = 6;
        bytes[8] = 0xfd;
        bytes[39] = 1;
        let base = read(ethertype::IPV6, &Slice(&bytes)).expect("a header");
        assert_eq!((base.total, base.length, base.next), (140, 40, 6));
        assert_eq!(base.source.0[0], 0xfd);
        assert_eq!(base.destination.0[15], 1);
        bytes[4..6].fill(0);
        assert_eq!(
            read(ethertype::IPV6, &Slice(&bytes)).map(|base| base.total),
            Some(0)
        );
    }
}
