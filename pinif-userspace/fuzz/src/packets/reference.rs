//! What etherparse makes of a frame, header by header.
//!
//! Where both differ on purpose, nothing is compared: etherparse wants a header complete, where pinif needs of an extension header
//! the first four bytes alone, and of IPv4's options nothing, since such a packet leaves all the same; and etherparse takes no
//! authentication header whose length is zero, which the kernel does (`ipv6_find_hdr`).

use etherparse::{
    EtherType, IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice,
    Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, SingleVlanSlice, err::ip_auth,
};
use pinif_ebpf::packet::{NotParsed, Packet, protocol};

use super::Parsed;

/// As many as pinif follows (`MAX_VLAN_TAGS`, `MAX_EXTENSION_HEADERS`).
const MOST_TAGS: usize = 2;
const MOST_EXTENSIONS: usize = 8;

/// What etherparse says of a frame.
enum Verdict<'a> {
    NotIp,
    Malformed,
    /// It ends within a header that pinif does not need all of.
    Incomplete,
    /// It was read: its addresses, what comes last, whether that is a later fragment, and the bytes of it.
    Read(Read<'a>),
}

struct Read<'a> {
    source: Vec4Or6,
    destination: Vec4Or6,
    protocol: u8,
    later_fragment: bool,
    /// The type of service, or the traffic class.
    tos: u8,
    payload: &'a [u8],
}

/// An address as its header has it.
#[derive(Clone, Copy)]
enum Vec4Or6 {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// Compares both.
pub(super) fn compare(frame: &[u8], parsed: Parsed) {
    match verdict(frame) {
        Verdict::NotIp => assert_eq!(parsed, Err(NotParsed::NotIp), "{frame:02x?}"),
        Verdict::Malformed => assert_eq!(parsed, Err(NotParsed::Malformed), "{frame:02x?}"),
        Verdict::Incomplete => {
            if let Ok(packet) = parsed {
                let ports = (packet.source_port, packet.destination_port);
                assert_eq!((ports, packet.icmp_type), ((0, 0), 0), "{frame:02x?}");
            }
        }
        Verdict::Read(read) => assert_eq!(parsed, Ok(packet(&read)), "{frame:02x?}"),
    }
}

fn verdict(frame: &[u8]) -> Verdict<'_> {
    let Some(announced) = frame.get(12..14) else {
        return Verdict::Malformed;
    };
    let mut kind = EtherType(u16::from_be_bytes([announced[0], announced[1]]));
    let mut rest = &frame[14..];
    let is_tag =
        |kind| kind == EtherType::VLAN_TAGGED_FRAME || kind == EtherType::PROVIDER_BRIDGING;
    for _ in 0..MOST_TAGS {
        if !is_tag(kind) {
            break;
        }
        let Ok(tag) = SingleVlanSlice::from_slice(rest) else {
            return Verdict::Malformed;
        };
        (kind, rest) = (tag.ether_type(), tag.payload_slice());
    }
    match kind {
        kind if is_tag(kind) => Verdict::Malformed,
        EtherType::IPV4 => v4(rest),
        EtherType::IPV6 => v6(rest),
        _ => Verdict::NotIp,
    }
}

fn v4(bytes: &[u8]) -> Verdict<'_> {
    let Ok(header) = Ipv4HeaderSlice::from_slice(bytes) else {
        // Of one whose options are cut, pinif takes the addresses.
        let is_readable = bytes.len() >= 20 && bytes[0] >> 4 == 4 && bytes[0] & 0xf >= 5;
        return if is_readable {
            Verdict::Incomplete
        } else {
            Verdict::Malformed
        };
    };
    Verdict::Read(Read {
        source: Vec4Or6::V4(header.source()),
        destination: Vec4Or6::V4(header.destination()),
        protocol: header.protocol().0,
        later_fragment: header.fragments_offset().value() != 0,
        tos: header.dcp().value() << 2 | header.ecn().value(),
        payload: &bytes[header.slice().len()..],
    })
}

fn v6(bytes: &[u8]) -> Verdict<'_> {
    let Ok(header) = Ipv6HeaderSlice::from_slice(bytes) else {
        return Verdict::Malformed;
    };
    let mut next = header.next_header();
    let mut rest = &bytes[header.slice().len()..];
    let mut later_fragment = false;
    let mut followed = 0;
    while is_extension(next) && !later_fragment {
        if followed == MOST_EXTENSIONS || rest.len() < 4 {
            return Verdict::Malformed;
        }
        followed += 1;
        let length = match next {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let Ok(fragment) = Ipv6FragmentHeaderSlice::from_slice(rest) else {
                    return Verdict::Incomplete;
                };
                later_fragment = fragment.fragment_offset().value() != 0;
                next = fragment.next_header();
                fragment.slice().len()
            }
            IpNumber::AUTHENTICATION_HEADER => match IpAuthHeaderSlice::from_slice(rest) {
                Ok(authentication) => {
                    next = authentication.next_header();
                    authentication.slice().len()
                }
                Err(ip_auth::HeaderSliceError::Content(_)) => {
                    next = IpNumber(rest[0]);
                    8
                }
                Err(ip_auth::HeaderSliceError::Len(_)) => return Verdict::Incomplete,
            },
            _ => {
                let Ok(extension) = Ipv6RawExtHeaderSlice::from_slice(rest) else {
                    return Verdict::Incomplete;
                };
                next = extension.next_header();
                extension.slice().len()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Verdict::Read(Read {
        source: Vec4Or6::V6(header.source()),
        destination: Vec4Or6::V6(header.destination()),
        protocol: next.0,
        later_fragment,
        tos: header.traffic_class(),
        payload: rest,
    })
}

/// Those that the kernel follows as well (`ipv6_ext_hdr`), but for "no next header".
fn is_extension(next: IpNumber) -> bool {
    matches!(
        next,
        IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_FRAGMENTATION_HEADER
            | IpNumber::AUTHENTICATION_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
    )
}

/// What pinif should say of it.
fn packet(read: &Read<'_>) -> Packet {
    let mut packet = Packet {
        source: address(read.source),
        destination: address(read.destination),
        protocol: read.protocol,
        later_fragment: read.later_fragment,
        tos: read.tos,
        ..Packet::default()
    };
    if read.later_fragment {
        return packet;
    }
    let word = |at: usize| {
        let bytes = read.payload.get(at..at + 2);
        bytes.map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    match read.protocol {
        6 | 17 | 33 | 132 | 136 => {
            if let (Some(source), Some(destination)) = (word(0), word(2)) {
                (packet.source_port, packet.destination_port) = (source, destination);
            }
        }
        protocol::ICMP | protocol::ICMPV6 => {
            if let (Some(first), Some(identifier)) = (word(0), word(4)) {
                packet.icmp_type = (first >> 8) as u8;
                if (read.protocol, packet.icmp_type) == (protocol::ICMP, 8)
                    || (read.protocol, packet.icmp_type) == (protocol::ICMPV6, 128)
                {
                    packet.source_port = identifier;
                }
            }
        }
        _ => (),
    }
    packet
}

fn address(address: Vec4Or6) -> pinif_ebpf::key::Address {
    match address {
        Vec4Or6::V4(bytes) => pinif_ebpf::key::Address::v4(bytes),
        Vec4Or6::V6(bytes) => pinif_ebpf::key::Address::v6(bytes),
    }
}
