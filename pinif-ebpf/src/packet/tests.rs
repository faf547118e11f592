use proptest::prelude::*;

use super::*;

/// A packet in a slice, as the kernel's `bpf_skb_load_bytes` would give it.
struct Slice<'a>(&'a [u8]);

impl Bytes for Slice<'_> {
    fn load<T: Header>(&self, offset: usize) -> Option<T> {
        let bytes = self.0.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of `T`, and any bytes are a valid `Header`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

fn packet_of(kind: u16, bytes: &Slice<'_>) -> Result<Packet, NotParsed> {
    // What was there before must not show.
    let mut found = Packet {
        source_port: 7,
        destination_port: 7,
        protocol: 7,
        later_fragment: true,
        ..Packet::default()
    };
    parse(kind, bytes, &mut found).map(|()| found)
}

fn v4(protocol: u8, options: usize, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0u8; 20 + options * 4];
    packet[0] = 0x45 + u8::try_from(options).expect("few options");
    packet[6..8].copy_from_slice(&fragment.to_be_bytes());
    packet[9] = protocol;
    packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
    packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
    packet.extend_from_slice(payload);
    packet
}

fn v6(chain: &[(u8, Vec<u8>)], last: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0u8; 40];
    packet[0] = 0x60;
    packet[8] = 0xfd;
    packet[23] = 1;
    packet[24] = 0xfd;
    packet[39] = 2;
    packet[6] = chain.first().map_or(last, |(kind, _)| *kind);
    for (index, (_, header)) in chain.iter().enumerate() {
        let mut header = header.clone();
        header[0] = chain.get(index + 1).map_or(last, |(kind, _)| *kind);
        packet.extend_from_slice(&header);
    }
    packet.extend_from_slice(payload);
    packet
}

const PORTS: [u8; 8] = [0x9c, 0x40, 0x13, 0x88, 0, 8, 0, 0];

#[test]
fn tags_that_name_no_vlan_are_followed() {
    let tag = |id: u16, kind: u16| [id.to_be_bytes(), kind.to_be_bytes()].concat();
    let behind = |tags: &[&Vec<u8>]| {
        let bytes = tags.iter().flat_map(|tag| tag.iter().copied());
        untag_priorities(ethertype::VLAN, &Slice(&bytes.collect::<Vec<_>>()))
    };
    assert_eq!(
        untag_priorities(ethertype::IPV4, &Slice(&[])),
        Ok((ethertype::IPV4, 0))
    );
    // Priority seven, and none.
    let (first, last) = (
        tag(0xe000, ethertype::SERVICE_VLAN),
        tag(0, ethertype::IPV6),
    );
    assert_eq!(behind(&[&last]), Ok((ethertype::IPV6, 4)));
    assert_eq!(behind(&[&first, &last]), Ok((ethertype::IPV6, 8)));
    assert_eq!(behind(&[&first, &first, &last]), Err(NotParsed::Malformed));
    assert_eq!(
        behind(&[&first, &tag(5, ethertype::IPV6)]),
        Err(NotParsed::NotIp),
        "its device sees it next"
    );
    assert_eq!(behind(&[&first]), Err(NotParsed::Malformed), "cut short");
}

#[test]
fn udp_over_ipv4_with_and_without_options() {
    for options in [0, 1, 10] {
        let packet = v4(protocol::UDP, options, 0x4000, &PORTS);
        let parsed = packet_of(ethertype::IPV4, &Slice(&packet)).expect("parses");
        assert_eq!(
            parsed,
            Packet {
                source: Address::v4([10, 0, 0, 1]),
                destination: Address::v4([10, 0, 0, 2]),
                source_port: 40000,
                destination_port: 5000,
                protocol: protocol::UDP,
                later_fragment: false,
                icmp_type: 0,
                tos: 0,
            }
        );
    }
}

#[test]
fn the_type_of_service_is_read_of_both_families() {
    let mut packet = v4(protocol::UDP, 0, 0, &PORTS);
    packet[1] = 0xb9;
    let parsed = packet_of(ethertype::IPV4, &Slice(&packet)).expect("parses");
    assert_eq!(parsed.tos, 0xb9);
    let mut packet = v6(&[], protocol::UDP, &PORTS);
    // Behind it is the flow label (RFC 8200, 3).
    packet[0] |= 0xb;
    packet[1] = 0x97;
    let parsed = packet_of(ethertype::IPV6, &Slice(&packet)).expect("parses");
    assert_eq!(parsed.tos, 0xb9);
}

#[test]
fn a_later_fragment_has_no_ports() {
    let packet = v4(protocol::UDP, 0, 185, &PORTS);
    let parsed = packet_of(ethertype::IPV4, &Slice(&packet)).expect("parses");
    assert!(parsed.later_fragment);
    assert_eq!((parsed.source_port, parsed.destination_port), (0, 0));
}

#[test]
fn the_first_fragment_has_ports() {
    let packet = v4(protocol::UDP, 0, 0x2000, &PORTS);
    let parsed = packet_of(ethertype::IPV4, &Slice(&packet)).expect("parses");
    assert!(!parsed.later_fragment);
    assert_eq!(parsed.source_port, 40000);
}

#[test]
fn ipv6_extension_headers_are_followed() {
    let chain = [
        (protocol::HOP_BY_HOP, vec![0, 0, 5, 2, 0, 0, 1, 0]),
        (protocol::ROUTING, [vec![0, 2], vec![0; 22]].concat()),
        (protocol::FRAGMENT, vec![0, 0, 0, 1, 0, 0, 0, 7]),
        (protocol::DESTINATION_OPTIONS, vec![0, 0, 1, 4, 0, 0, 0, 0]),
    ];
    let packet = v6(&chain, protocol::TCP, &PORTS);
    let parsed = packet_of(ethertype::IPV6, &Slice(&packet)).expect("parses");
    assert_eq!(parsed.protocol, protocol::TCP);
    assert_eq!((parsed.source_port, parsed.destination_port), (40000, 5000));
    assert!(!parsed.later_fragment);
}

#[test]
fn a_later_ipv6_fragment_keeps_its_protocol() {
    let chain = [(protocol::FRAGMENT, vec![0, 0, 0x05, 0xa9, 0, 0, 0, 7])];
    let packet = v6(&chain, protocol::UDP, &PORTS);
    let parsed = packet_of(ethertype::IPV6, &Slice(&packet)).expect("parses");
    assert!(parsed.later_fragment);
    assert_eq!((parsed.protocol, parsed.source_port), (protocol::UDP, 0));
}

#[test]
fn too_many_extension_headers_are_malformed() {
    let chain = vec![
        (protocol::DESTINATION_OPTIONS, vec![0, 0, 1, 4, 0, 0, 0, 0]);
        MAX_EXTENSION_HEADERS + 1
    ];
    let packet = v6(&chain, protocol::UDP, &PORTS);
    assert_eq!(
        packet_of(ethertype::IPV6, &Slice(&packet)),
        Err(NotParsed::Malformed)
    );
}

#[test]
fn the_identifier_of_an_echo_request_is_its_port() {
    let request = v4(protocol::ICMP, 0, 0, &[8, 0, 0, 0, 0x12, 0x34, 0, 1]);
    let parsed = packet_of(ethertype::IPV4, &Slice(&request)).expect("parses");
    assert_eq!((parsed.source_port, parsed.destination_port), (0x1234, 0));
    let unreachable = v4(protocol::ICMP, 0, 0, &[3, 1, 0, 0, 0x12, 0x34, 0, 1]);
    let parsed = packet_of(ethertype::IPV4, &Slice(&unreachable)).expect("parses");
    assert_eq!(parsed.source_port, 0);
}

#[test]
fn a_packet_cut_in_its_transport_header_is_judged_by_its_addresses() {
    let packet = v4(protocol::TCP, 0, 0, &PORTS[..3]);
    let parsed = packet_of(ethertype::IPV4, &Slice(&packet)).expect("parses");
    assert_eq!((parsed.protocol, parsed.source_port), (protocol::TCP, 0));
}

#[test]
fn vlan_tags_are_followed() {
    let inner = v4(protocol::UDP, 0, 0, &PORTS);
    for tags in 0..=3usize {
        let mut frame = vec![0u8; 12];
        for tag in 0..tags {
            let kind = if tag == 0 {
                ethertype::SERVICE_VLAN
            } else {
                ethertype::VLAN
            };
            frame.extend_from_slice(&kind.to_be_bytes());
            frame.extend_from_slice(&[0, 5]);
        }
        frame.extend_from_slice(&ethertype::IPV4.to_be_bytes());
        let start = frame.len();
        frame.extend_from_slice(&inner);
        let expected = if tags <= MAX_VLAN_TAGS {
            Ok((ethertype::IPV4, start))
        } else {
            Err(NotParsed::Malformed)
        };
        assert_eq!(untag(&Slice(&frame)), expected, "{tags} tags");
    }
}

#[test]
fn what_is_no_ip_is_not_judged() {
    assert_eq!(packet_of(0x0806, &Slice(&[0; 28])), Err(NotParsed::NotIp));
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..200), v6: bool) {
        let kind = if v6 { ethertype::IPV6 } else { ethertype::IPV4 };
        if let Ok(packet) = packet_of(kind, &Slice(&bytes)) {
            let least = if v6 { 40 } else { 20 };
            prop_assert!(bytes.len() >= least);
            prop_assert!(!is_extension(packet.protocol) || packet.later_fragment || !v6);
            if packet.later_fragment {
                prop_assert_eq!((packet.source_port, packet.destination_port), (0, 0));
            }
        }
        let _ = untag(&Slice(&bytes));
    }

    #[test]
    fn a_truncated_network_header_is_malformed(length in 0usize..20) {
        let packet = v4(protocol::UDP, 0, 0, &PORTS);
        prop_assert_eq!(packet_of(ethertype::IPV4, &Slice(&packet[..length])), Err(NotParsed::Malformed));
    }

    #[test]
    fn addresses_and_ports_are_read_as_written(
        source: [u8; 4], destination: [u8; 4], ports: [u8; 4], options in 0usize..=10,
    ) {
        let mut packet = v4(protocol::TCP, options, 0, &ports);
        packet[12..16].copy_from_slice(&source);
        packet[16..20].copy_from_slice(&destination);
        let parsed = packet_of(ethertype::IPV4, &Slice(&packet)).expect("parses");
        prop_assert_eq!(parsed.source, Address::v4(source));
        prop_assert_eq!(parsed.destination, Address::v4(destination));
        prop_assert_eq!(parsed.source_port, u16::from_be_bytes([ports[0], ports[1]]));
        prop_assert_eq!(parsed.destination_port, u16::from_be_bytes([ports[2], ports[3]]));
    }
}

#[test]
fn the_packet_inside_is_read_behind_extensions_and_labels() {
    let inside = v4(protocol::UDP, 1, 0, &PORTS);
    // A routing header of 24 bytes (RFC 8754), and none.
    let segments = || {
        let mut header = vec![0; 24];
        header[1] = 2;
        (protocol::ROUTING, header)
    };
    let labels = [&[0, 1, 0, 64][..], &[0, 2, 1, 64], &inside].concat();
    let read = |kind: u16, bytes: &[u8]| {
        let mut found = Packet::default();
        let start = inner::inner_start(kind, &Slice(bytes), &mut found)?;
        inner::parse_inner(start, &Slice(bytes), &mut found)?;
        Ok(found)
    };
    let expected = packet_of(ethertype::IPV4, &Slice(&inside));
    for (kind, bytes) in [
        (ethertype::IPV6, v6(&[segments()], protocol::IPV4, &inside)),
        (ethertype::IPV6, v6(&[], protocol::IPV4, &inside)),
        (ethertype::IPV4, v4(protocol::IPV4, 2, 0, &inside)),
        (ethertype::MPLS, labels),
    ] {
        assert_eq!(read(kind, &bytes), expected, "{kind:x}");
        assert_eq!(
            read(kind, &bytes[..24]),
            Err(NotParsed::Malformed),
            "{kind:x}"
        );
    }
    let six = v6(&[], protocol::UDP, &PORTS);
    let within = v6(&[segments()], protocol::IPV6, &six);
    assert_eq!(
        read(ethertype::IPV6, &within),
        packet_of(ethertype::IPV6, &Slice(&six))
    );
    // No packet inside; one of no version; the second fragment of one.
    for packet in [
        v4(protocol::UDP, 0, 0, &PORTS),
        v4(protocol::IPV4, 0, 0, &[0; 40]),
        v4(protocol::IPV4, 0, 1, &inside),
    ] {
        assert_eq!(read(ethertype::IPV4, &packet), Err(NotParsed::NotIp));
    }
}
