//! The fixed part of an IP header alone: all that most packets are looked at for where they arrive.

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use super::{Bytes, ethertype};
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

/// Reads the fixed part of the IP header that `kind` announces. Nothing for what is no IP packet, and for what `ip_rcv` and
/// `ipv6_rcv` drop: a header that is cut short, or of another version.
#[inline(always)]
pub fn read(kind: u16, packet: &impl Bytes) -> Option<Base> {
    match kind {
        ethertype::IPV4 => {
            let header = packet.load::<Ipv4Hdr>(0)?;
            let length = u16::from(header.ihl());
            (header.version() == 4 && length >= Ipv4Hdr::LEN as u16).then(|| Base {
                source: Address::v4(header.src_addr),
                destination: Address::v4(header.dst_addr),
                total: u32::from(u16::from_be_bytes(header.tot_len)),
                length,
                next: header.proto,
                later_fragment: u16::from_be_bytes(header.frags) & 0x1fff != 0,
            })
        }
        ethertype::IPV6 => {
            let header = packet.load::<Ipv6Hdr>(0)?;
            let payload = u32::from(u16::from_be_bytes(header.payload_len));
            (header.vcf[0] >> 4 == 6).then(|| Base {
                source: Address::v6(header.src_addr),
                destination: Address::v6(header.dst_addr),
                total: if payload == 0 {
                    0
                } else {
                    payload + Ipv6Hdr::LEN as u32
                },
                length: Ipv6Hdr::LEN as u16,
                next: header.next_hdr,
                later_fragment: false,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Header;

    struct Slice<'a>(&'a [u8]);

    impl Bytes for Slice<'_> {
        fn load<T: Header>(&self, offset: usize) -> Option<T> {
            let bytes = self.0.get(offset..offset + size_of::<T>())?;
            // SAFETY: as many bytes as a `T` has, and any bytes are one.
            Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
        }
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
