use std::{collections::HashMap, net::IpAddr};

use proptest::prelude::*;

use super::*;
use crate::{
    intent::SocketRecord,
    key::{Address, IfIndex, NetNsCookie},
    packet::Packet,
    policy::{Active, InForce, dimension::LEARNED},
    sighting::Origin,
    verdict::Traffic,
};

fn packet(source: IpAddr, destination: IpAddr, ports: (u16, u16), protocol: u8) -> Packet {
    Packet {
        source: source.into(),
        destination: destination.into(),
        source_port: ports.0,
        destination_port: ports.1,
        protocol,
        later_fragment: false,
        icmp_type: 0,
        tos: 0,
    }
}

/// The flow at a packet, made from bytes as they are in it.
fn flow_key(packet: &Packet) -> FlowKey {
    let ip = |address: &Address| match address.ip() {
        IpAddr::V4(v4) => FlowKey::v4(u32::from_ne_bytes(v4.octets())),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let word =
                |at: usize| u64::from_ne_bytes(octets[at..at + 8].try_into().expect("eight bytes"));
            [word(0), word(8)]
        }
    };
    let mut ports = [0; 4];
    ports[..2].copy_from_slice(&packet.source_port.to_be_bytes());
    ports[2..].copy_from_slice(&packet.destination_port.to_be_bytes());
    FlowKey {
        source: ip(&packet.source),
        destination: ip(&packet.destination),
        ports: u32::from_ne_bytes(ports),
        protocol: packet.protocol.into(),
    }
}

const VERDICT: CachedVerdict = CachedVerdict {
    cell: 3,
    marked: false,
};

/// What is known of a packet, whichever it is.
fn inputs(packet: &Packet) -> CacheInputs {
    CacheInputs {
        flow: flow_key(packet),
        epoch: 4,
        salt: 0x1234_5678_9abc_def1,
        above: IfIndex(0),
        bound: IfIndex(2),
        egress: IfIndex(2),
        user: 0,
        bound_address: Address::UNSPECIFIED,
    }
}

fn digests(inputs: &CacheInputs) -> Digests {
    let source = inputs.digest();
    Digests {
        any_destination: source.any_destination(),
        whole: source.whole(),
    }
}

fn any_packet() -> impl Strategy<Value = Packet> {
    (
        any::<(IpAddr, IpAddr)>(),
        any::<(u16, u16)>(),
        any::<bool>(),
    )
        .prop_map(|((source, destination), ports, tcp)| {
            packet(source, destination, ports, if tcp { 6 } else { 17 })
        })
}

proptest! {
    #[test]
    fn a_flow_key_is_what_the_parser_reads(packet in any_packet()) {
        prop_assert!(flow_key(&packet).is(&packet));
    }

    #[test]
    fn a_flow_key_is_of_no_other_packet(one in any_packet(), other in any_packet()) {
        prop_assert_eq!(flow_key(&one).is(&other), one == other);
    }

    #[test]
    fn an_entry_is_found_with_its_cell(packet in any_packet(), cell in 0u32..1 << CELL_BITS, marked: bool) {
        let digests = digests(&inputs(&packet));
        for digest in [digests.whole, digests.any_destination] {
            let verdict = CachedVerdict { cell, marked };
            prop_assert_eq!(look_up(entry(digest, verdict), digest), Some(verdict));
        }
    }

    #[test]
    fn an_empty_entry_is_of_nothing(packet in any_packet(), salt in any::<u64>()) {
        let digests = digests(&CacheInputs { salt, ..inputs(&packet) });
        prop_assert_eq!(look_up(0, digests.whole), None);
        prop_assert_eq!(look_up(0, digests.any_destination), None);
    }

    #[test]
    fn whatever_is_other_is_another_entry(packet in any_packet(), other in 1u32..) {
        let here = inputs(&packet);
        let address = |words| Address::of_words(words);
        let changed = [
            CacheInputs { epoch: here.epoch ^ u64::from(other), ..here },
            CacheInputs { salt: here.salt ^ u64::from(other), ..here },
            CacheInputs { above: IfIndex(here.above.0 ^ other), ..here },
            CacheInputs { bound: IfIndex(here.bound.0 ^ other), ..here },
            CacheInputs { egress: IfIndex(here.egress.0 ^ other), ..here },
            CacheInputs { user: here.user ^ other, ..here },
            CacheInputs { bound_address: address([u64::from(other), 0]), ..here },
            CacheInputs { bound_address: address([0, u64::from(other)]), ..here },
        ];
        let known = digests(&here);
        for changed in changed {
            let changed = digests(&changed);
            prop_assert_eq!(look_up(entry(known.whole, VERDICT), changed.whole), None);
            prop_assert_eq!(look_up(entry(known.any_destination, VERDICT), changed.any_destination), None);
        }
    }

    #[test]
    fn another_destination_is_another_entry_of_the_whole_alone(one in any_packet(), other in any_packet()) {
        prop_assume!((one.destination, one.destination_port) != (other.destination, other.destination_port));
        let other = Packet { destination: other.destination, destination_port: other.destination_port, ..one };
        let (one, other) = (digests(&inputs(&one)), digests(&inputs(&other)));
        prop_assert_eq!(one.any_destination, other.any_destination);
        prop_assert_eq!(look_up(entry(one.whole, VERDICT), other.whole), None);
    }
}

proptest! {
    #[test]
    fn any_port_is_another_source_port_alone(one in any_packet(), port: u16) {
        let seen = |packet: &Packet| flow_key(packet).with_any_port();
        let ported = Packet { source_port: port, ..one };
        prop_assert_eq!(seen(&one), seen(&ported));
        for other in [
            Packet { destination_port: !one.destination_port, ..one },
            Packet { source: one.destination, destination: one.source, ..one },
            Packet { protocol: one.protocol ^ 23, ..one },
        ] {
            prop_assume!(other != one);
            prop_assert_ne!(seen(&one), seen(&other));
        }
    }

    #[test]
    fn a_socket_wrote_what_is_from_its_port(packet in any_packet(), port: u16) {
        let flow = flow_key(&packet);
        prop_assert!(flow.is_from(packet.protocol, packet.source_port));
        prop_assert_eq!(flow.is_from(packet.protocol, port), port == packet.source_port);
        prop_assert!(!flow.is_from(packet.protocol ^ 23, packet.source_port));
        prop_assert_eq!(flow.source_address(), packet.source);
    }
}

#[test]
fn a_million_flows_have_a_million_entries() {
    let mut seen = HashMap::new();
    for high in 0..16u8 {
        for low in 0..=255u8 {
            for port in 0..256u16 {
                let to = IpAddr::from([10, 0, high, low]);
                let packet = packet(IpAddr::from([10, 0, 0, 1]), to, (port, port), 17);
                let digest = digests(&inputs(&packet)).whole;
                let before = seen.insert(entry(digest, VERDICT), packet);
                assert_eq!(before, None, "{packet:?}");
            }
        }
    }
}

/// Traffic that is all among [`inputs`] of its packet.
fn traffic(packet: &Packet) -> Traffic<'_> {
    Traffic {
        origin: Origin::Process,
        bound: IfIndex(2),
        names_interface: false,
        bound_address: None,
        packet: Some(packet),
        egress: IfIndex(2),
        heard: IfIndex::NONE,
    }
}

proptest! {
    /// A verdict is cached only where each fact that it was decided by is among those that are looked up.
    #[test]
    fn what_is_not_looked_up_is_not_covered(packet in any_packet(), other in 1u16..) {
        let inputs = inputs(&packet);
        let all = traffic(&packet);
        prop_assert_ne!(inputs.covers(&all), Coverage::NONE);
        let different = |ip: &Address| {
            let [first, second] = ip.words();
            Address::of_words([first, second ^ u64::from(other)])
        };
        let others = [
            Packet { source: different(&packet.source), ..packet },
            Packet { destination: different(&packet.destination), ..packet },
            Packet { source_port: packet.source_port ^ other, ..packet },
            Packet { destination_port: packet.destination_port ^ other, ..packet },
            Packet { protocol: packet.protocol ^ 23, ..packet },
            Packet { later_fragment: true, ..packet },
        ];
        for other in &others {
            prop_assert_eq!(inputs.covers(&Traffic { packet: Some(other), ..all }), Coverage::NONE);
        }
        let interface = IfIndex(2 + u32::from(other));
        for not_covered in [
            Traffic { packet: None, ..all },
            Traffic { origin: Origin::Kernel, ..all },
            // Where it came in is looked up in place of the bound device, which is that of the socket that it is a copy of.
            Traffic { origin: Origin::None, ..all },
            Traffic { bound: interface, ..all },
            Traffic { bound: IfIndex::NONE, ..all },
            Traffic { egress: interface, ..all },
            Traffic { names_interface: true, ..all },
            Traffic { heard: interface, ..all },
            Traffic { bound_address: Some(packet.source), ..all },
        ] {
            prop_assert_eq!(inputs.covers(&not_covered), Coverage::NONE);
        }
    }

    /// What a socket wrote with headers of another's, or of a tunnel's, stands for no other socket's.
    #[test]
    fn only_headers_of_its_own_stand_for_those_of_any_socket(packet in any_packet(), other in 1u16..) {
        let inputs = inputs(&packet);
        let facts = SocketFacts {
            writes_headers: false,
            protocol: packet.protocol,
            port: packet.source_port,
            is_apart: false,
        };
        let of = |facts: SocketFacts| inputs.of_any_socket(7, &facts, InForce::default());
        let shared = of(facts).expect("one for any socket");
        prop_assert_eq!(shared, CacheInputs { flow: inputs.flow.with_any_port(), salt: 7, ..inputs });
        prop_assert_eq!(of(SocketFacts { writes_headers: true, ..facts }), None);
        prop_assert_eq!(of(SocketFacts { is_apart: true, ..facts }), None);
        prop_assert_eq!(of(SocketFacts { port: facts.port ^ other, ..facts }), None);
        prop_assert_eq!(of(SocketFacts { protocol: facts.protocol ^ 23, ..facts }), None);
    }
}

#[test]
fn only_what_its_own_namespace_sent_is_looked_up() {
    let record = SocketRecord {
        netns: NetNsCookie(7),
        ..SocketRecord::default()
    };
    let may_look =
        |netns, arrived| CacheInputs::may_look(&record, NetNsCookie(netns), IfIndex(arrived));
    assert!(may_look(7, 0));
    assert!(!may_look(8, 0));
    assert!(!may_look(7, 3));
}

#[test]
fn a_connection_takes_no_verdict_of_its_listeners_requests() {
    let packet = packet([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), (7, 40_000), 6);
    let inputs = inputs(&packet);
    let request = inputs.of_request();
    let mut listener = SocketRecord::default();
    for reach in [Reach::AnyDestination, Reach::Whole] {
        let keys = Keys {
            inputs: request,
            own: digests(&request),
            shared: Digests::NONE,
        };
        keys.put_in_record(&mut listener, VERDICT, reach);
        assert_eq!(request.find_in_record(&listener), Ok(VERDICT));
    }
    // Its record begins as a copy, with the same salt.
    let connection = listener;
    assert!(inputs.find_in_record(&connection).is_err());
}

#[test]
fn where_it_is_learned_a_verdict_is_of_one_socket_and_one_destination() {
    let packet = packet([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), (40_000, 9), 17);
    let inputs = inputs(&packet);
    let keys = Keys {
        inputs,
        own: digests(&inputs),
        shared: digests(&inputs),
    };
    let coverage = inputs.covers(&Traffic {
        origin: Origin::Process,
        bound: IfIndex(2),
        names_interface: false,
        bound_address: None,
        packet: Some(&packet),
        egress: IfIndex(2),
        heard: IfIndex::NONE,
    });
    let socket = SocketFacts {
        writes_headers: false,
        protocol: 17,
        port: 40_000,
        is_apart: false,
    };
    for (dimensions, reach) in [(0, Reach::AnyDestination), (LEARNED, Reach::Whole)] {
        let active = Active {
            dimensions,
            ..Active::default()
        };
        let outcome = keys.outcome(coverage, 0, || false, &active, || 0, VERDICT.cell);
        assert_eq!(outcome, Outcome::Cached(VERDICT, reach));
        let in_force = InForce::default().next(0, dimensions);
        let shared = inputs.of_any_socket(1, &socket, in_force);
        assert_eq!(shared.is_some(), dimensions == 0);
    }
}
