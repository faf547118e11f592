mod card;

use proptest::prelude::*;

use self::card::Card;
use super::*;
use crate::policy::tests::rules::{Rule, Rules, SLOT, Sender, set};

const FAB0: IfIndex = IfIndex(2);
const FAB1: IfIndex = IfIndex(3);
const ETH1: IfIndex = IfIndex(4);
const STORE: IfIndex = IfIndex(5);
const VRF: u32 = 9;

/// On fab0 alone.
const FABRIC: Address = Address::v4([10, 0, 0, 1]);
/// On eth1 alone.
const FRONT: Address = Address::v4([192, 0, 2, 1]);
/// On several interfaces.
const VIP: Address = Address::v4([10, 0, 0, 100]);
/// Of another card on the backplane.
const PEER: Address = Address::v4([10, 0, 0, 2]);
/// Of the world.
const WORLD: Address = Address::v4([203, 0, 113, 9]);
/// fab0's own, and another's, on a link.
const LINK_LOCAL: Address = Address([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const NEIGHBOUR: Address = Address([0xfe, 0xbf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

const BACKPLANE: usize = 0;
const FRONTPANEL: usize = 1;
const STORAGE: usize = 2;

fn udp(source: Address, destination: Address) -> Packet {
    Packet {
        source,
        destination,
        source_port: 9,
        destination_port: 5000,
        protocol: protocol::UDP,
        later_fragment: false,
        icmp_type: 0,
        tos: 0,
    }
}

fn reported(severity: Severity, owner: IfIndex, rule: u16) -> Decision {
    Decision {
        kind: Kind::IngressEscape as u8,
        severity: severity as u8,
        rule,
        source_owner: owner,
        ..Decision::CONTAINED
    }
}

const CONTAINED: Decision = Decision::CONTAINED;
const LEAK: Severity = Severity::Leak;

#[test]
fn what_the_kernel_says_at_this_instant_withdraws_it() {
    const NO: ArrivalRecheck = ArrivalRecheck {
        has_destination: false,
        is_unknown: false,
    };
    let has_destination = ArrivalRecheck {
        has_destination: true,
        ..NO
    };
    let is_unknown = ArrivalRecheck {
        is_unknown: true,
        ..NO
    };
    let (of_zone, of_rule, both) = (
        reported(LEAK, FAB0, NO_RULE),
        reported(LEAK, IfIndex::NONE, 3),
        reported(LEAK, FAB0, 3),
    );
    for decision in [of_zone, of_rule, both, CONTAINED] {
        assert_eq!(decision.reconsidered_arrival(NO), decision);
        assert_eq!(decision.reconsidered_arrival(is_unknown), CONTAINED);
    }
    assert_eq!(of_zone.reconsidered_arrival(has_destination), CONTAINED);
    assert_eq!(of_rule.reconsidered_arrival(has_destination), of_rule);
    assert_eq!(both.reconsidered_arrival(has_destination), of_rule);
}

#[test]
fn what_is_for_a_contained_address_arrives_within_its_zone() {
    let (card, packet) = (Card::new(), udp(WORLD, FABRIC));
    assert_eq!(card.judge(&packet, FAB0, true), CONTAINED);
    assert_eq!(card.judge(&packet, FAB1, true), CONTAINED);
    assert_eq!(
        card.judge(&packet, ETH1, true),
        reported(LEAK, FAB0, NO_RULE)
    );
    // Another contained zone is as far outside.
    assert_eq!(
        card.judge(&packet, STORE, true),
        reported(LEAK, FAB0, NO_RULE)
    );
}

#[test]
fn what_nobody_takes_is_a_risk() {
    let decision = Card::new().judge(&udp(WORLD, FABRIC), ETH1, false);
    assert_eq!(decision, reported(Severity::Risk, FAB0, NO_RULE));
}

#[test]
fn what_carries_a_zone_admits_its_traffic() {
    let mut card = Card::new();
    card.ingress.entry(ETH1).or_default().allowed = set(&[BACKPLANE]);
    assert_eq!(card.judge(&udp(WORLD, FABRIC), ETH1, true), CONTAINED);
}

#[test]
fn addresses_that_are_nobodys_alone_or_not_local_belong_to_no_zone() {
    let card = Card::new();
    for destination in [
        VIP,
        PEER,
        FRONT,
        Address::v4([255; 4]),
        Address::v4([224, 0, 0, 5]),
    ] {
        assert_eq!(card.judge(&udp(WORLD, destination), ETH1, true), CONTAINED);
    }
}

#[test]
fn a_link_local_address_is_of_the_link_it_is_used_on() {
    let card = Card::new().with(Rule::any());
    assert_eq!(
        card.judge(&udp(NEIGHBOUR, LINK_LOCAL), ETH1, true),
        CONTAINED
    );
    // A neighbour that writes to another link's address is none of that.
    assert_eq!(
        card.judge(&udp(NEIGHBOUR, FABRIC), ETH1, true),
        reported(LEAK, FAB0, NO_RULE)
    );
}

#[test]
fn an_address_in_a_vrf_is_local_there_alone() {
    let packet = udp(WORLD, FABRIC);
    let apart = Card::new().in_vrf(FAB0);
    assert_eq!(apart.judge(&packet, ETH1, true), CONTAINED);
    let together = Card::new().in_vrf(FAB0).in_vrf(ETH1);
    assert_eq!(
        together.judge(&packet, ETH1, true),
        reported(LEAK, FAB0, NO_RULE)
    );
    // What is outside all VRFs is local to them as well: the table `local` is asked first.
    let inside = Card::new().in_vrf(ETH1);
    assert_eq!(
        inside.judge(&packet, ETH1, true),
        reported(LEAK, FAB0, NO_RULE)
    );
}

#[test]
fn what_a_rule_keeps_inside_is_not_delivered_from_outside() {
    let card = Card::control_plane();
    let packet = udp(PEER, FRONT);
    assert_eq!(card.judge(&packet, FAB0, true), CONTAINED);
    assert_eq!(
        card.judge(&packet, ETH1, true),
        reported(LEAK, IfIndex::NONE, 0)
    );
    assert_eq!(card.judge(&packet, ETH1, false), CONTAINED);
    assert_eq!(card.judge(&udp(WORLD, FRONT), ETH1, true), CONTAINED);
    assert_eq!(
        card.judge(&udp(PEER, VIP), ETH1, true),
        reported(LEAK, IfIndex::NONE, 0)
    );
    assert_eq!(
        card.judge(&udp(PEER, FABRIC), ETH1, true),
        reported(LEAK, FAB0, 0)
    );
}

#[test]
fn a_rule_looks_at_the_reply() {
    // Ports and addresses of the reply, not of the packet.
    let mut rule = Rule::any();
    rule.ports.insert(9);
    rule.source_ports.insert(5000);
    rule.sources.insert(FRONT);
    rule.protocols.insert(protocol::UDP);
    let card = Card::new().with(rule);
    let packet = udp(WORLD, FRONT);
    assert_eq!(
        card.judge(&packet, ETH1, true),
        reported(LEAK, IfIndex::NONE, 0)
    );
    let other_port = Packet {
        source_port: 10,
        ..packet
    };
    assert_eq!(card.judge(&other_port, ETH1, true), CONTAINED);
    let fragment = Packet {
        later_fragment: true,
        ..packet
    };
    assert_eq!(card.judge(&fragment, ETH1, true), CONTAINED);
}

#[test]
fn the_first_rule_decides_and_looks_at_who_takes_it() {
    let mut roots = Rule::any();
    roots.users.insert(0);
    let mut card = Card::new().with(roots).with(Rule::any().to(WORLD));
    let packet = udp(WORLD, FRONT);
    card.receiver.user = Some(0);
    assert_eq!(
        card.judge(&packet, ETH1, true),
        reported(LEAK, IfIndex::NONE, 0)
    );
    card.receiver.user = Some(1000);
    assert_eq!(
        card.judge(&packet, ETH1, true),
        reported(LEAK, IfIndex::NONE, 1)
    );
    // A rule before it that this interface keeps is the one that decides.
    if let Some(ingress) = card.ingress.get_mut(&ETH1) {
        ingress.unmet_rules = RuleSet::EMPTY;
        ingress.unmet_rules.insert(1);
    }
    card.receiver.user = Some(0);
    assert_eq!(card.judge(&packet, ETH1, true), CONTAINED);
}

#[test]
fn what_a_rule_allows_may_arrive_for_another_zone_or_rule() {
    let packet = udp(WORLD, FABRIC);
    let allowed = Card::new().allowing(Rule::any().to(WORLD));
    assert_eq!(allowed.judge(&packet, ETH1, true), CONTAINED);
    assert_eq!(allowed.judge(&packet, ETH1, false), CONTAINED);
    assert_eq!(
        allowed.judge(&udp(PEER, FABRIC), ETH1, true),
        reported(LEAK, FAB0, NO_RULE)
    );
    // The first rule that matches decides.
    let kept = Card::control_plane().allowing(Rule::any());
    assert_eq!(
        kept.judge(&udp(PEER, FRONT), ETH1, true),
        reported(LEAK, IfIndex::NONE, 0)
    );
    assert_eq!(kept.judge(&packet, ETH1, true), CONTAINED);
    let before = Card::new().allowing(Rule::any()).with(Rule::any().to(PEER));
    assert_eq!(before.judge(&udp(PEER, FRONT), ETH1, true), CONTAINED);
    // By who receives it.
    let mut roots = Rule::any();
    roots.users.insert(0);
    let mut of_root = Card::new().allowing(roots);
    of_root.receiver.user = Some(0);
    assert_eq!(of_root.judge(&packet, ETH1, true), CONTAINED);
    of_root.receiver.user = Some(1000);
    assert_eq!(
        of_root.judge(&packet, ETH1, true),
        reported(LEAK, FAB0, NO_RULE)
    );
}

#[test]
fn what_the_host_sends_to_itself_answers_nobody() {
    let card = Card::new().with(Rule::any());
    assert_eq!(card.judge(&udp(VIP, FRONT), ETH1, true), CONTAINED);
    assert_eq!(
        card.judge(&udp(Address::UNSPECIFIED, FRONT), ETH1, true),
        CONTAINED
    );
    assert_eq!(
        card.judge(&udp(Address::v4([0; 4]), FRONT), ETH1, true),
        CONTAINED
    );
}

#[test]
fn errors_are_distinguished_from_what_is_answered() {
    for (protocol, kinds, errors) in [
        (
            protocol::ICMP,
            [0, 3, 8, 11, 13],
            [false, true, false, true, false],
        ),
        (
            protocol::ICMPV6,
            [1, 4, 128, 129, 135],
            [true, true, false, false, false],
        ),
        (protocol::UDP, [0, 3, 8, 11, 13], [false; 5]),
    ] {
        for (kind, error) in kinds.into_iter().zip(errors) {
            assert_eq!(is_icmp_error(protocol, kind), error, "{protocol} {kind}");
        }
    }
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        Just(FABRIC),
        Just(FRONT),
        Just(VIP),
        Just(PEER),
        Just(WORLD),
        Just(LINK_LOCAL),
        Just(NEIGHBOUR),
        Just(Address::UNSPECIFIED),
    ]
}

proptest! {
    #[test]
    fn an_open_gate_lets_everything_in(
        source in any_address(),
        destination in any_address(),
        is_taken: bool,
        ruled: bool,
    ) {
        let card = if ruled { Card::control_plane() } else { Card::new() };
        let mut active = card.policy.active();
        active.contained = set(&[BACKPLANE]);
        let ingress = &card.ingress[&FAB0];
        prop_assert!(ingress.is_open(active.contained));
        let suspicion = suspect(&source, &destination, ingress, &active, &card);
        prop_assert_eq!(suspicion, Suspicion::NONE);
        let arrival = Arrival { suspicion, rules: RuleSet::EMPTY, is_taken };
        prop_assert_eq!(decide_arrival(&arrival, ingress, &active, &card), CONTAINED);
    }

    #[test]
    fn a_reply_to_a_reply_is_the_packet(
        source in any_address(),
        destination in any_address(),
        source_port: u16,
        destination_port: u16,
    ) {
        let packet = Packet { source_port, destination_port, ..udp(source, destination) };
        prop_assert_eq!(reply_to(&reply_to(&packet)), packet);
    }

    #[test]
    fn only_what_is_for_this_host_is_reported(
        source in any_address(),
        destination in any_address(),
        is_taken: bool,
    ) {
        let card = Card::control_plane();
        let decision = card.judge(&udp(source, destination), ETH1, is_taken);
        if decision != CONTAINED {
            prop_assert!(card.owner(&destination).is_some());
            prop_assert!(is_taken || decision.source_owner == FAB0);
        }
    }
}
