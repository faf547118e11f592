use std::collections::BTreeSet;

use proptest::{prelude::*, sample::Index};

use crate::{key::Address, packet::Packet};

use super::{sets::lowest_bit, *};

pub(crate) mod random;
pub(crate) mod rules;

use rules::{Rule, Rules, SLOT, Sender, set};

/// What [`decide_rule`] is to say, by reading the rules one after the other.
fn first_match(policy: &Rules, packet: &Packet, sender: &Sender) -> (u16, Demand) {
    for (number, rule) in policy.rules.iter().enumerate() {
        if rule.is_for(packet, sender) {
            let number = u16::try_from(number).expect("few rules");
            return (number, rule.demand.unwrap_or(Demand::NONE));
        }
    }
    (NO_RULE, Demand::NONE)
}

fn decided(policy: &Rules, packet: &Packet, sender: Sender) -> (u16, Demand) {
    decide_rule(&policy.tables(sender), &policy.active(), packet)
}

fn policy<const N: usize>(rules: [Rule; N]) -> Rules {
    Rules {
        rules: rules.into(),
        ..Rules::default()
    }
}

fn to(destination: Address) -> Packet {
    Packet {
        source: HERE,
        destination,
        source_port: 40000,
        destination_port: 443,
        protocol: 6,
        later_fragment: false,
        icmp_type: 0,
        tos: 0,
    }
}

const HERE: Address = Address::v4([10, 0, 0, 1]);
const PEER: Address = Address::v4([10, 0, 0, 2]);
const OUTSIDE: Address = Address::v4([203, 0, 113, 9]);

#[test]
fn the_lowest_bit_is_the_number_of_trailing_zeros() {
    for bit in 0..64 {
        let word = u64::MAX << bit;
        assert_eq!(u32::from(lowest_bit(word)), word.trailing_zeros());
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let exception_first = policy([
        Rule::any().to(PEER).only_via(&[1]),
        Rule::any().only_via(&[0]).pinned(),
    ]);
    let (rule, demand) = decided(&exception_first, &to(PEER), Sender::default());
    assert_eq!((rule, demand.only_via, demand.pinned), (0, set(&[1]), 0));
    let (rule, demand) = decided(&exception_first, &to(OUTSIDE), Sender::default());
    assert_eq!((rule, demand.only_via, demand.pinned), (1, set(&[0]), 1));

    let exception_last = policy([
        Rule::any().only_via(&[0]).pinned(),
        Rule::any().to(PEER).only_via(&[1]),
    ]);
    let (rule, demand) = decided(&exception_last, &to(PEER), Sender::default());
    assert_eq!((rule, demand.only_via, demand.pinned), (0, set(&[0]), 1));
}

#[test]
fn no_rule_no_demand() {
    let nothing = (NO_RULE, Demand::NONE);
    let sender = Sender::default();
    assert_eq!(decided(&policy([]), &to(PEER), sender), nothing);
    let other = policy([Rule::any().to(OUTSIDE).only_via(&[0])]);
    assert_eq!(decided(&other, &to(PEER), sender), nothing);
}

#[test]
fn of_a_policy_that_says_it_has_no_rules_no_table_is_asked() {
    let rules = policy([Rule::any().only_via(&[0]), Rule::any().to(PEER)]);
    let empty = Active {
        rules: 0,
        ..rules.active()
    };
    let tables = rules.tables(Sender::default());
    assert_eq!(
        decide_rule(&tables, &empty, &to(PEER)),
        (NO_RULE, Demand::NONE)
    );
}

#[test]
fn a_rule_without_an_entry_in_the_table_of_demands_demands_nothing() {
    let silent = policy([Rule::any()]);
    assert_eq!(
        decided(&silent, &to(PEER), Sender::default()),
        (0, Demand::NONE)
    );
}

#[test]
fn a_rule_matches_in_every_dimension_or_not_at_all() {
    let rule = Rule {
        destinations: [PEER].into(),
        sources: [HERE].into(),
        ports: [443].into(),
        source_ports: [40000].into(),
        protocols: [6].into(),
        users: [1000].into(),
        cgroups: [77].into(),
        executables: [99].into(),
        ..Rule::any().only_via(&[0])
    };
    let strict = policy([rule]);
    let packet = to(PEER);
    let sender = Sender {
        user: Some(1000),
        cgroup: Some(77),
        executable: Some(99),
    };
    assert_eq!(decided(&strict, &packet, sender).0, 0);
    let packets = [
        Packet {
            destination: OUTSIDE,
            ..packet
        },
        Packet {
            source: OUTSIDE,
            ..packet
        },
        Packet {
            destination_port: 444,
            ..packet
        },
        Packet {
            source_port: 40001,
            ..packet
        },
        Packet {
            protocol: 17,
            ..packet
        },
    ];
    for packet in packets {
        assert_eq!(decided(&strict, &packet, sender).0, NO_RULE, "{packet:?}");
    }
    let senders = [
        Sender {
            user: Some(0),
            ..sender
        },
        Sender {
            user: None,
            ..sender
        },
        Sender {
            cgroup: Some(1),
            ..sender
        },
        Sender {
            cgroup: None,
            ..sender
        },
        Sender {
            executable: Some(1),
            ..sender
        },
        Sender {
            executable: None,
            ..sender
        },
    ];
    for sender in senders {
        assert_eq!(decided(&strict, &packet, sender).0, NO_RULE, "{sender:?}");
    }
}

#[test]
fn what_no_rule_names_is_any() {
    let mixed = policy([
        Rule {
            users: [1000].into(),
            ..Rule::any().to(PEER)
        },
        Rule::any().only_via(&[0]),
    ]);
    // Nobody's packet, to an address that no rule names.
    assert_eq!(decided(&mixed, &to(OUTSIDE), Sender::default()).0, 1);
}

#[test]
fn each_of_all_rules_can_decide() {
    let address = |number: usize| {
        let [_, _, high, low] = u32::try_from(number).expect("few rules").to_be_bytes();
        Address::v4([10, 1, high, low])
    };
    let full = Rules {
        rules: (0..MAX_RULES)
            .map(|number| {
                Rule::any()
                    .to(address(number))
                    .only_via(&[number % MAX_ZONES])
            })
            .collect(),
        ..Rules::default()
    };
    let (active, tables) = (full.active(), full.tables(Sender::default()));
    for number in 0..MAX_RULES {
        let (rule, demand) = decide_rule(&tables, &active, &to(address(number)));
        assert_eq!(usize::from(rule), number);
        assert_eq!(demand.only_via, set(&[number % MAX_ZONES]));
    }
}

/// It carries none, and a range of ports may begin at zero.
#[test]
fn a_later_fragment_is_of_no_port_at_all() {
    let every_port = policy([Rule {
        ports: (0..=443).collect(),
        ..Rule::any().only_via(&[0])
    }]);
    let every_source_port = policy([Rule {
        source_ports: (0..=443).collect(),
        ..Rule::any().only_via(&[0])
    }]);
    let fragment = Packet {
        source_port: 0,
        destination_port: 0,
        later_fragment: true,
        ..to(PEER)
    };
    for policy in [every_port, every_source_port] {
        assert_eq!(decided(&policy, &fragment, Sender::default()).0, NO_RULE);
    }
}

#[test]
fn sets_ignore_numbers_that_they_cannot_hold() {
    let mut rules = RuleSet::EMPTY;
    rules.insert(MAX_RULES);
    assert!(rules.is_empty() && !rules.contains(MAX_RULES));
    let mut zones = ZoneSet::EMPTY;
    zones.insert(MAX_ZONES);
    assert!(zones.is_empty() && !zones.contains(MAX_ZONES));
    zones.insert(MAX_ZONES - 1);
    assert!(zones.contains(MAX_ZONES - 1) && !zones.is_empty());
}

proptest! {
    #[test]
    fn the_first_rule_is_the_smallest(rules in proptest::collection::btree_set(0usize..MAX_RULES, 0..20)) {
        let set = rule_set(&rules);
        prop_assert_eq!(set.first().map(usize::from), rules.first().copied());
        prop_assert_eq!(set.is_empty(), rules.is_empty());
        for rule in 0..MAX_RULES {
            prop_assert_eq!(set.contains(rule), rules.contains(&rule));
        }
    }

    #[test]
    fn sets_of_rules_are_sets(
        one in proptest::collection::btree_set(0usize..MAX_RULES, 0..60),
        other in proptest::collection::btree_set(0usize..MAX_RULES, 0..60),
    ) {
        let both: BTreeSet<_> = one.intersection(&other).copied().collect();
        let either: BTreeSet<_> = one.union(&other).copied().collect();
        prop_assert_eq!(rule_set(&one).intersection(rule_set(&other)), rule_set(&both));
        prop_assert_eq!(rule_set(&one).union(rule_set(&other)), rule_set(&either));
    }

    #[test]
    fn the_tables_decide_as_reading_the_rules_in_order_does(
        policy in random::rules(), packet in random::packet(), sender in random::sender(),
    ) {
        prop_assert_eq!(decided(&policy, &packet, sender), first_match(&policy, &packet, &sender));
    }

    #[test]
    fn it_does_so_for_many_rules_too(
        policy in random::many_rules(), packet in random::packet(), sender in random::sender(),
    ) {
        prop_assert_eq!(decided(&policy, &packet, sender), first_match(&policy, &packet, &sender));
    }

    #[test]
    fn a_rule_at_the_end_changes_nothing_that_was_decided(
        policy in random::rules(), last in random::rule(), packet in random::packet(), sender in random::sender(),
    ) {
        let before = decided(&policy, &packet, sender);
        let mut longer = policy;
        longer.rules.push(last);
        let after = decided(&longer, &packet, sender);
        if before.0 == NO_RULE {
            prop_assert!(after.0 == NO_RULE || usize::from(after.0) == longer.rules.len() - 1);
        } else {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn a_rule_that_did_not_decide_may_as_well_not_be_there(
        policy in random::rules(), which: Index, packet in random::packet(), sender in random::sender(),
    ) {
        prop_assume!(!policy.rules.is_empty());
        let removed = which.index(policy.rules.len());
        let (rule, demand) = decided(&policy, &packet, sender);
        prop_assume!(usize::from(rule) != removed);
        let mut shorter = policy;
        shorter.rules.remove(removed);
        let moved = if rule != NO_RULE && usize::from(rule) > removed { rule - 1 } else { rule };
        prop_assert_eq!(decided(&shorter, &packet, sender), (moved, demand));
    }
}

fn rule_set(numbers: &BTreeSet<usize>) -> RuleSet {
    let mut set = RuleSet::EMPTY;
    for &number in numbers {
        set.insert(number);
    }
    set
}

/// The slot of the tests is not the one that zeros name.
const _: () = assert!(SLOT != 0);

#[test]
fn what_is_in_force_says_what_a_rule_asks_of_a_sender() {
    let looks = |word: InForce| {
        [
            word.looks_at_users(),
            word.looks_at_owners(),
            word.looks_at_source_ports(),
        ]
    };
    let asked = [
        (dimension::DESTINATION | dimension::PORT, [false; 3]),
        (dimension::USER, [true, true, false]),
        (dimension::CGROUP, [false, true, false]),
        (dimension::EXECUTABLE, [false, true, false]),
        (dimension::SOURCE_PORT, [false, false, true]),
        (u32::MAX, [true; 3]),
    ];
    let mut word = InForce(0);
    for (slot, (dimensions, expected)) in (0..).zip(asked) {
        let next = word.next(slot % 2, dimensions);
        let same = next.next_of_same();
        for word in [next, same] {
            assert_eq!(looks(word), expected, "{dimensions:#x}");
            assert_eq!(word.slot(), slot % 2);
        }
        assert!(word.0 < next.0 && next.0 < same.0, "each is another word");
        word = same;
    }
}
