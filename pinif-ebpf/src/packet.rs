//! Reading a packet's headers: IPv4 and IPv6, extension headers, VLAN tags, and the first bytes of the transport.

pub mod base;
pub mod inner;

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::key::Address;

/// Ethertypes (IEEE 802 numbers, `linux/if_ether.h`), in host byte order.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// A VLAN tag (802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// A service VLAN tag (802.1ad).
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// MPLS with labels of one receiver each (RFC 5332).
    pub const MPLS: u16 = 0x8847;

    /// Whether it announces a tag.
    #[inline(always)]
    pub const fn is_tag(kind: u16) -> bool {
        matches!(kind, VLAN | SERVICE_VLAN)
    }
}

/// IP protocol numbers that the parser or the decision look at (IANA).
pub mod protocol {
    /// IPv6 hop-by-hop options.
    pub(crate) const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 inside (RFC 2003).
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// DCCP.
    pub(crate) const DCCP: u8 = 33;
    /// IPv6 inside (RFC 2473).
    pub const IPV6: u8 = 41;
    /// IPv6 routing header.
    pub(crate) const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub(crate) const FRAGMENT: u8 = 44;
    /// Authentication header.
    pub(crate) const AUTHENTICATION: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION_OPTIONS: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub(crate) const UDP_LITE: u8 = 136;

    /// Whether a protocol's header begins with the two ports.
    #[inline(always)]
    pub const fn has_ports(protocol: u8) -> bool {
        matches!(protocol, TCP | UDP | UDP_LITE | SCTP | DCCP)
    }
}

/// How many IPv6 extension headers are followed. A packet with more is not parsed.
pub(crate) const MAX_EXTENSION_HEADERS: usize = 8;
/// How many VLAN tags in the frame are followed.
pub(crate) const MAX_VLAN_TAGS: usize = 2;
const ETHERNET_ADDRESSES: usize = 12;

/// Bytes of a packet by offset: the kernel's `bpf_skb_load_bytes`, a slice in tests.
pub trait Bytes {
    /// The `T` at `offset`, if the packet has all of it. Any bytes are a valid `T`.
    fn load<T: Header>(&self, offset: usize) -> Option<T>;
}

/// A header made of integers only, so that any bytes are a valid one.
///
/// # Safety
///
/// Every bit pattern of the size of the type is a valid value.
pub unsafe trait Header: Copy {}

// SAFETY: bytes and byte arrays only.
unsafe impl Header for Ipv4Hdr {}
// SAFETY: bytes and byte arrays only.
unsafe impl Header for Ipv6Hdr {}
// SAFETY: bytes only.
unsafe impl<const N: usize> Header for [u8; N] {}

const _: () = assert!(align_of::<Ipv4Hdr>() == 1 && size_of::<Ipv4Hdr>() == 20);
const _: () = assert!(align_of::<Ipv6Hdr>() == 1 && size_of::<Ipv6Hdr>() == 40);

/// What the decision and the explanation need of a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The source address.
    pub source: Address,
    /// The destination address.
    pub destination: Address,
    /// The source port in host byte order, the identifier of an ICMP echo, or zero.
    pub source_port: u16,
    /// The destination port in host byte order, or zero.
    pub destination_port: u16,
    /// The IP protocol after all extension headers.
    pub protocol: u8,
    /// A fragment after the first: it carries no ports.
    pub later_fragment: bool,
    /// The type of an ICMP or ICMPv6 message, or zero.
    pub icmp_type: u8,
    /// The type of service, or the traffic class: as the header has it, which routing may be asked with.
    pub tos: u8,
}

/// Why a packet gave no [`Packet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotParsed {
    /// It is no IP packet (ARP, LLDP, …): nothing to judge.
    NotIp,
    /// It ends within a header, or has more headers than are followed.
    Malformed,
}

/// Follows the VLAN tags of an Ethernet frame that starts at offset zero.
///
/// Returns the ethertype behind them and the offset of what it announces.
///
/// # Errors
///
/// [`NotParsed::Malformed`] when the frame ends in a tag or has more than [`MAX_VLAN_TAGS`].
#[inline(always)]
pub fn untag(frame: &impl Bytes) -> Result<(u16, usize), NotParsed> {
    let mut offset = ETHERNET_ADDRESSES + 2;
    let mut kind = u16::from_be_bytes(
        frame
            .load::<[u8; 2]>(ETHERNET_ADDRESSES)
            .ok_or(NotParsed::Malformed)?,
    );
    for _ in 0..MAX_VLAN_TAGS {
        if kind != ethertype::VLAN && kind != ethertype::SERVICE_VLAN {
            break;
        }
        // Priority and VLAN id, then the ethertype of what follows (802.1Q, 9.6).
        let tag = frame.load::<[u8; 4]>(offset).ok_or(NotParsed::Malformed)?;
        kind = u16::from_be_bytes([tag[2], tag[3]]);
        offset += tag.len();
    }
    if kind == ethertype::VLAN || kind == ethertype::SERVICE_VLAN {
        return Err(NotParsed::Malformed);
    }
    Ok((kind, offset))
}

/// The bits of a tag that are the VLAN's number; zero is none, but a priority (802.1Q, 9.6).
pub const VLAN_ID: u16 = 0xfff;

/// Follows the tags that `kind` announces, from the first on, as long as they name no VLAN.
///
/// Returns the ethertype behind them and the offset of what it announces.
///
/// # Errors
///
/// [`NotParsed::NotIp`] when one names a VLAN; [`NotParsed::Malformed`] when the frame ends in a tag or has more than [`MAX_VLAN_TAGS`].
#[inline(always)]
pub fn untag_priorities(kind: u16, tags: &impl Bytes) -> Result<(u16, usize), NotParsed> {
    let (mut kind, mut offset) = (kind, 0);
    for _ in 0..MAX_VLAN_TAGS {
        if !ethertype::is_tag(kind) {
            break;
        }
        let tag = tags.load::<[u8; 4]>(offset).ok_or(NotParsed::Malformed)?;
        if u16::from_be_bytes([tag[0], tag[1]]) & VLAN_ID != 0 {
            return Err(NotParsed::NotIp);
        }
        kind = u16::from_be_bytes([tag[2], tag[3]]);
        offset += tag.len();
    }
    if ethertype::is_tag(kind) {
        return Err(NotParsed::Malformed);
    }
    Ok((kind, offset))
}

/// Reads the headers of the packet that `kind` announces, from its network header on, into `found`: in place, since a program's
/// stack is small. After an error, what is in there means nothing.
///
/// # Errors
///
/// [`NotParsed::NotIp`] for any other ethertype, [`NotParsed::Malformed`] for a broken packet.
#[inline(always)]
pub fn parse(kind: u16, packet: &impl Bytes, found: &mut Packet) -> Result<(), NotParsed> {
    let offset = match kind {
        ethertype::IPV4 => network_v4(packet, found)?,
        ethertype::IPV6 => network_v6(packet, found)?,
        _ => return Err(NotParsed::NotIp),
    };
    found.source_port = 0;
    found.destination_port = 0;
    found.icmp_type = 0;
    if !found.later_fragment {
        read_ports(packet, offset, found);
    }
    Ok(())
}

/// Reads the IPv4 header, and gives the offset of what is behind it.
#[inline(always)]
fn network_v4(packet: &impl Bytes, found: &mut Packet) -> Result<usize, NotParsed> {
    let header = packet.load::<Ipv4Hdr>(0).ok_or(NotParsed::Malformed)?;
    let length = usize::from(header.ihl());
    if header.version() != 4 || length < Ipv4Hdr::LEN {
        return Err(NotParsed::Malformed);
    }
    found.source = Address::v4(header.src_addr);
    found.destination = Address::v4(header.dst_addr);
    found.protocol = header.proto;
    found.tos = header.tos;
    found.later_fragment = u16::from_be_bytes(header.frags) & 0x1fff != 0;
    Ok(length)
}

/// Reads the IPv6 header and its extensions, and gives the offset of what is behind them.
#[inline(always)]
fn network_v6(packet: &impl Bytes, found: &mut Packet) -> Result<usize, NotParsed> {
    let header = packet.load::<Ipv6Hdr>(0).ok_or(NotParsed::Malformed)?;
    if header.vcf[0] >> 4 != 6 {
        return Err(NotParsed::Malformed);
    }
    found.source = Address::v6(header.src_addr);
    found.destination = Address::v6(header.dst_addr);
    let mut next = header.next_hdr;
    let mut offset = Ipv6Hdr::LEN;
    let mut later_fragment = false;
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension(next) || later_fragment {
            break;
        }
        // Next header, length (RFC 8200, 4; RFC 4302 for AH), and the fragment's offset (RFC 8200, 4.5).
        let extension = packet.load::<[u8; 4]>(offset).ok_or(NotParsed::Malformed)?;
        offset += match next {
            protocol::FRAGMENT => {
                later_fragment = u16::from_be_bytes([extension[2], extension[3]]) & 0xfff8 != 0;
                8
            }
            protocol::AUTHENTICATION => (usize::from(extension[1]) + 2) * 4,
            _ => (usize::from(extension[1]) + 1) * 8,
        };
        next = extension[0];
    }
    if is_extension(next) && !later_fragment {
        return Err(NotParsed::Malformed);
    }
    found.protocol = next;
    // RFC 8200, 3: between the version and the flow label.
    found.tos = header.vcf[0] << 4 | header.vcf[1] >> 4;
    found.later_fragment = later_fragment;
    Ok(offset)
}

#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
    )
}

/// Reads the ports, which a packet cut short inside its transport header does not have: such a packet leaves all the
/// same, and is judged by its addresses.
#[inline(always)]
fn read_ports(packet: &impl Bytes, offset: usize, found: &mut Packet) {
    match found.protocol {
        protocol::TCP | protocol::UDP | protocol::UDP_LITE | protocol::SCTP | protocol::DCCP => {
            if let Some(ports) = packet.load::<[u8; 4]>(offset) {
                found.source_port = u16::from_be_bytes([ports[0], ports[1]]);
                found.destination_port = u16::from_be_bytes([ports[2], ports[3]]);
            }
        }
        protocol::ICMP | protocol::ICMPV6 => {
            if let Some(header) = packet.load::<[u8; 6]>(offset) {
                found.icmp_type = header[0];
                if is_echo_request(found.protocol, header[0]) {
                    found.source_port = u16::from_be_bytes([header[4], header[5]]);
                }
            }
        }
        _ => {}
    }
}

/// Whether an ICMP type is an echo request, whose identifier is the local port of a ping socket (RFC 792, RFC 4443).
#[inline(always)]
const fn is_echo_request(protocol: u8, kind: u8) -> bool {
    (protocol == protocol::ICMP && kind == 8) || (protocol == protocol::ICMPV6 && kind == 128)
}

#[cfg(test)]
mod tests;
