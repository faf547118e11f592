//! `decide` is total: whatever the maps answer, it decides.

use proptest::{option, prelude::*};

use super::super::*;
use crate::{enforce::Action, policy::RuleSet};

/// Maps that answer anything at all.
struct Noise([u64; 8]);

impl Noise {
    fn rules(&self, at: usize) -> Option<RuleSet> {
        let words = [self.0[at], self.0[at ^ 1], self.0[at ^ 2], self.0[at ^ 3]];
        (self.0[at ^ 4] & 1 == 0).then_some(RuleSet(words))
    }

    fn bits(&self, one: u32, other: u32) -> u64 {
        self.0[(one ^ other) as usize & 7].rotate_right(one.wrapping_add(other) & 63)
    }
}

impl World for Noise {
    fn is_lower_of(&self, lower: IfIndex, upper: IfIndex) -> bool {
        self.bits(upper.0, lower.0) & 1 != 0
    }

    fn sole_owner(&self, address: &Address) -> IfIndex {
        IfIndex(self.bits(address.0[15].into(), address.0[0].into()) as u32)
    }

    fn zones(&self, slot: Slot, interface: IfIndex) -> ZoneSet {
        ZoneSet(self.bits(slot, interface.0))
    }

    fn leads_nowhere(&self, slot: Slot, interface: IfIndex) -> bool {
        self.bits(slot, interface.0) & 3 == 0
    }
}

impl Tables for Noise {
    fn by_destination(&self, _: Slot, _: &Address) -> Option<RuleSet> {
        self.rules(0)
    }

    fn by_source(&self, _: Slot, _: &Address) -> Option<RuleSet> {
        self.rules(1)
    }

    fn by_port(&self, _: Slot, _: u16) -> Option<RuleSet> {
        self.rules(2)
    }

    fn by_source_port(&self, _: Slot, _: u16) -> Option<RuleSet> {
        self.rules(3)
    }

    fn by_protocol(&self, _: Slot, _: u8) -> Option<RuleSet> {
        self.rules(4)
    }

    fn by_user(&self, _: Slot) -> Option<RuleSet> {
        self.rules(5)
    }

    fn by_cgroup(&self, _: Slot) -> Option<RuleSet> {
        self.rules(6)
    }

    fn by_executable(&self, _: Slot) -> Option<RuleSet> {
        self.rules(7)
    }

    fn demand(&self, slot: Slot, rule: u16) -> Option<Demand> {
        let bits = self.bits(slot, rule.into());
        (bits & 2 != 0).then_some(Demand {
            only_via: ZoneSet(bits),
            pinned: bits as u32 & 5,
            action: bits as u32 >> 3,
            ..Demand::NONE
        })
    }
}

prop_compose! {
    fn wild()(origin in any::<u8>(), bound: u32, names_interface: bool, address: Option<[u8; 16]>, egress: u32, few: bool)
        -> Traffic<'static>
    {
        let interface = |index: u32| IfIndex(if few { index % 4 } else { index });
        Traffic {
            origin: Origin::from_number(origin),
            bound: interface(bound),
            names_interface,
            bound_address: address.map(Address),
            packet: None,
            egress: interface(egress),
            heard: interface(bound ^ egress),
        }
    }
}

prop_compose! {
    fn wild_packet()(
        source: [u8; 16], destination: [u8; 16], ports: [u16; 2], protocol: u8, later_fragment: bool,
    ) -> Packet {
        Packet {
            source: Address(source),
            destination: Address(destination),
            source_port: ports[0],
            destination_port: ports[1],
            protocol,
            later_fragment,
            icmp_type: 0,
            tos: 0,
        }
    }
}

prop_compose! {
    fn wild_active()(slot: u32, rules: u32, dimensions: u32, contained: u64, any: [[u64; 4]; 8]) -> Active {
        Active {
            slot,
            generation: 0,
            rules,
            dimensions,
            contained: ZoneSet(contained),
            enforce_until: 0,
            drops_unparsed: contained as u32 & 1,
            has_exceptions: contained as u32 >> 1 & 1,
            any_destination: RuleSet(any[0]),
            any_source: RuleSet(any[1]),
            any_port: RuleSet(any[2]),
            any_source_port: RuleSet(any[3]),
            any_protocol: RuleSet(any[4]),
            any_user: RuleSet(any[5]),
            any_cgroup: RuleSet(any[6]),
            any_executable: RuleSet(any[7]),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_answer_of_the_maps_and_no_number_makes_it_panic(
        mut traffic in wild(), packet in option::of(wild_packet()), active in wild_active(), answers: [u64; 8],
    ) {
        traffic.packet = packet.as_ref();
        let decision = decide(&traffic, &active, &Noise(answers));
        prop_assert_eq!(decision.kind == 0, decision.finding().is_none());
        prop_assert!(decision.kind != 0 || !decision.is_dropped(Action::Drop));
        if traffic.egress == IfIndex::LOOPBACK {
            prop_assert_eq!(decision, Decision::CONTAINED);
        }
    }
}
