//! `decide` against the oracle on random hosts, and what must hold of any two verdicts that differ in one thing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    collection::{btree_map, btree_set},
    option,
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};

use super::{
    super::*,
    host::{Host, Sent},
    oracle::{self, Verdict},
};
use crate::{
    enforce::Action,
    policy::{RuleSet, tests::random},
};

/// Interfaces are few, the loopback device (1) among them.
fn interface() -> impl Strategy<Value = IfIndex> {
    (1u32..6).prop_map(IfIndex)
}

/// Any relation is taken for carriage, closed or not: what to make of it is userspace's.
fn host() -> impl Strategy<Value = Host> {
    let holders = prop_oneof![
        3 => btree_set(interface(), 1),
        1 => btree_set(interface(), 2..4),
    ];
    (
        btree_set((interface(), interface()), 0..8),
        btree_map(random::address(), holders, 1..5),
        btree_map(interface(), random::zones(), 0..6),
        random::rules(),
        random::sender(),
    )
        .prop_map(|(carriers, holders, zones, policy, sender)| Host {
            carriers,
            holders,
            zones,
            policy,
            sender,
        })
}

/// A packet; every third leaves by the device that its socket is bound to.
fn sent() -> impl Strategy<Value = Sent> {
    (
        prop_oneof![
            1 => Just(Origin::None),
            2 => Just(Origin::Process),
            1 => Just(Origin::Kernel),
        ],
        prop_oneof![Just(IfIndex::NONE), interface()],
        select(vec![true, false, false, false]),
        option::of(random::address()),
        option::weighted(0.9, random::packet()),
        interface(),
        select(vec![true, false, false]),
    )
        .prop_map(
            |(origin, bound, names_interface, bound_address, packet, other, home)| Sent {
                origin,
                bound,
                names_interface,
                bound_address,
                packet,
                egress: if home && bound.is_some() {
                    bound
                } else {
                    other
                },
            },
        )
}

/// What `decide` says, in the oracle's words.
fn said(host: &Host, sent: &Sent) -> Verdict {
    let decision = host.judge(sent);
    Verdict {
        told: decision.finding(),
        also: decision.also.iter().collect(),
        rule: decision.rule,
        source_owner: decision.source_owner,
    }
}

/// Whether the second verdict accuses of nothing that the first does not, and of nothing graver.
fn no_graver(before: &Verdict, after: &Verdict) -> bool {
    let severity = |verdict: &Verdict| verdict.told.map(|(_, severity)| severity);
    after.kinds().is_subset(&before.kinds()) && severity(after) <= severity(before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn it_decides_as_the_table_says(host in host(), sent in sent()) {
        prop_assert_eq!(said(&host, &sent), oracle::verdict(&host, &sent));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_said_is_well_formed(host in host(), sent in sent()) {
        let decision = host.judge(&sent);
        prop_assert_eq!(decision.kind == 0, decision.severity == 0);
        prop_assert_eq!(decision.kind == 0, decision.finding().is_none());
        prop_assert!(decision.kind != 0 || decision.also == KindSet::default());
        // Neither the bit of no kind, nor its own, nor one of no kind that there is.
        let all = decision.also.iter().fold(0, |bits, kind| bits | 1 << kind as u8);
        prop_assert_eq!(decision.also.0, all);
        prop_assert_eq!(decision.also.0 & 1 << decision.kind, 0);
    }

    #[test]
    fn loopback_contains(host in host(), sent in sent()) {
        let sent = Sent { egress: IfIndex::LOOPBACK, ..sent };
        prop_assert_eq!(host.judge(&sent), Decision::CONTAINED);
    }

    #[test]
    fn a_carrier_more_accuses_nobody(host in host(), sent in sent(), upper in interface(), lower in interface()) {
        let before = said(&host, &sent);
        let after = said(&host.carries(upper, lower), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
        prop_assert_eq!((before.rule, before.source_owner), (after.rule, after.source_owner));
    }

    #[test]
    fn an_address_on_another_interface_too_accuses_nobody(
        host in host(), sent in sent(), which: Index, interface in interface(),
    ) {
        let address = *which.get(&Vec::from_iter(host.holders.keys().copied()));
        let before = said(&host, &sent);
        let after = said(&host.address(interface, address), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
    }

    #[test]
    fn an_egress_interface_in_another_zone_too_accuses_nobody(host in host(), sent in sent(), zone in 0usize..3) {
        let before = said(&host, &sent);
        let after = said(&host.zone(zone, &[sent.egress]), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
    }

    #[test]
    fn what_is_not_contained_is_a_leak_no_sooner(host in host(), sent in sent()) {
        let before = said(&host, &sent);
        let after = said(&host.contained(&[]), &sent);
        prop_assert!(no_graver(&before, &after), "{before:?}, then {after:?}");
        prop_assert_eq!(before.kinds(), after.kinds());
    }

    #[test]
    fn without_rules_no_rule_is_broken_and_all_else_stays(host in host(), sent in sent()) {
        let before = said(&host, &sent);
        let mut lawless = host;
        lawless.policy.rules.clear();
        let after = said(&lawless, &sent);
        let mut kinds = before.kinds();
        kinds.remove(&Kind::PolicyEscape);
        kinds.remove(&Kind::Unpinned);
        prop_assert_eq!(after.kinds(), kinds);
        prop_assert_eq!(after.rule, NO_RULE);
    }

    #[test]
    fn a_socket_pinned_to_where_it_leaves_escapes_no_device(host in host(), sent in sent()) {
        let kinds = said(&host, &sent.pinned(sent.egress)).kinds();
        let possible = BTreeSet::from([Kind::PolicyEscape, Kind::CrossedBind]);
        prop_assert!(kinds.is_subset(&possible), "{kinds:?}");
    }

    #[test]
    fn the_kernel_is_judged_as_a_process_but_for_the_demanded_pin(host in host(), sent in sent()) {
        let mut kinds = said(&host, &sent.origin(Origin::Process)).kinds();
        kinds.remove(&Kind::Unpinned);
        prop_assert_eq!(said(&host, &sent.origin(Origin::Kernel)).kinds(), kinds);
    }

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

/// Whether `decide` has it dropped.
fn is_dropped(host: &Host, decision: &Decision) -> bool {
    let rule = host.policy.rules.get(usize::from(decision.rule));
    let demand = rule.and_then(|rule| rule.demand).unwrap_or_default();
    decision.is_dropped(demand.action())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_is_dropped_is_what_the_table_says(host in host(), sent in sent()) {
        prop_assert_eq!(is_dropped(&host, &host.judge(&sent)), oracle::is_dropped(&host, &sent));
    }

    #[test]
    fn rules_that_say_nothing_drop_the_leaks(host in host(), sent in sent()) {
        let decision = host.judge(&sent);
        let is_leak = decision.severity == Severity::Leak as u8;
        prop_assert_eq!(decision.is_dropped(Action::Unsaid), is_leak);
        prop_assert!(!decision.is_dropped(Action::Alert) || is_leak);
        prop_assert!(decision.is_dropped(Action::Drop) || !is_leak);
    }
}

/// The properties are worth something only if the hosts and packets above are not all contained.
#[test]
fn the_random_hosts_reach_every_kind_in_every_place() {
    let mut runner = TestRunner::deterministic();
    let (mut told, mut also) = (BTreeMap::new(), BTreeMap::new());
    let cases = (host(), sent());
    for _ in 0..4096 {
        let (host, sent) = cases.new_tree(&mut runner).expect("a case").current();
        let verdict = oracle::verdict(&host, &sent);
        *told.entry(verdict.told).or_insert(0) += 1;
        for kind in verdict.also {
            *also.entry(kind).or_insert(0) += 1;
        }
    }
    let verdicts = [
        None,
        Some((Kind::DeviceEscape, Severity::Leak)),
        Some((Kind::AddressEscape, Severity::Risk)),
        Some((Kind::AddressEscape, Severity::Leak)),
        Some((Kind::CopyEscape, Severity::Leak)),
        Some((Kind::PolicyEscape, Severity::Leak)),
        Some((Kind::Unpinned, Severity::Risk)),
        Some((Kind::CrossedBind, Severity::Note)),
    ];
    for verdict in verdicts {
        let often = told.get(&verdict).copied().unwrap_or(0);
        assert!(often >= 20, "{verdict:?} in {often} cases of {told:?}");
    }
    // The two that go before all others of their severity are never beside another.
    for kind in [
        Kind::AddressEscape,
        Kind::PolicyEscape,
        Kind::Unpinned,
        Kind::CrossedBind,
    ] {
        let often = also.get(&kind).copied().unwrap_or(0);
        assert!(often >= 20, "also {kind:?} in {often} cases of {also:?}");
    }
}

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
    fn carries(&self, upper: IfIndex, lower: IfIndex) -> bool {
        self.bits(upper.0, lower.0) & 1 != 0
    }

    fn sole_owner(&self, address: &Address) -> IfIndex {
        IfIndex(self.bits(address.0[15].into(), address.0[0].into()) as u32)
    }

    fn zones(&self, slot: Slot, interface: IfIndex) -> ZoneSet {
        ZoneSet(self.bits(slot, interface.0))
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

/// What the kernel would tell on `truth`, of a decision that was made on what was known before.
fn live(truth: &Host, sent: &Sent, known: &Decision) -> Recheck {
    let within = |upper: IfIndex, lower: IfIndex| upper == lower || truth.carries(upper, lower);
    let active = truth.policy.active();
    let zones = |interface| World::zones(truth, active.slot, interface);
    let source = sent.packet.map(|packet| truth.sole_owner(&packet.source));
    let (owner, bound) = (known.source_owner, sent.bound);
    let bound_owner = sent.bound_address.map(|address| truth.sole_owner(&address));
    Recheck {
        carries_bound: bound.is_some() && within(bound, sent.egress),
        carries_source_owner: owner.is_some() && within(owner, sent.egress),
        has_source: owner.is_some() && source == Some(sent.egress),
        has_bound_address: bound_owner
            .is_some_and(|owner| owner.is_some() && (within(owner, bound) || within(bound, owner))),
        zones: zones(sent.egress),
        only_via: truth
            .policy
            .rules
            .get(usize::from(known.rule))
            .and_then(|rule| rule.demand)
            .map_or(ZoneSet::EMPTY, |demand| demand.only_via),
        owner_contained: zones(owner).intersection(active.contained),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_was_known_late_changes_nothing_in_the_end(
        host in host(), sent in sent(), above in interface(), zones in random::zones(),
    ) {
        let known = host.judge(&sent);
        let mut truth = host.clone();
        if above != sent.egress {
            truth = truth.carries(above, sent.egress);
        }
        truth.zones.entry(sent.egress).or_default().0 |= zones.0;
        let live = live(&truth, &sent, &known);
        let again = known.reconsidered(&live);
        prop_assert_eq!(again, truth.judge(&sent), "{:?}", live);
        prop_assert_eq!(is_dropped(&host, &again), oracle::is_dropped(&truth, &sent), "{:?}", live);
    }

    #[test]
    fn what_was_known_well_stays(host in host(), sent in sent()) {
        let known = host.judge(&sent);
        prop_assert_eq!(known.reconsidered(&live(&host, &sent, &known)), known);
    }

    #[test]
    fn an_address_that_moved_to_the_egress_interface_accuses_nobody(host in host(), sent in sent()) {
        let known = host.judge(&sent);
        let live = Recheck { has_source: true, ..live(&host, &sent, &known) };
        prop_assert!(!known.reconsidered(&live).kinds().contains(Kind::AddressEscape));
    }
}
