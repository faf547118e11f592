//! Random policies and packets, of so few values that they meet often.

use std::{collections::BTreeSet, fmt::Debug};

use proptest::{
    collection::{btree_set, vec},
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};

use super::{
    super::{Demand, ZoneSet},
    rules::{Rule, Rules, Sender},
};
use crate::{
    enforce::Action,
    key::Address,
    packet::{Packet, protocol},
};

/// Zones are few: their sets are the numbers below this.
const ZONE_SETS: u64 = 8;

/// One of the addresses that everything here is about, of both families.
pub(crate) fn address() -> impl Strategy<Value = Address> {
    let mut v6 = [0; 16];
    (v6[0], v6[15]) = (0xfd, 1);
    select(vec![
        Address::v4([10, 0, 0, 1]),
        Address::v4([10, 0, 0, 2]),
        Address::v4([192, 0, 2, 1]),
        Address::v6(v6),
    ])
}

pub(crate) fn zones() -> impl Strategy<Value = ZoneSet> {
    (0..ZONE_SETS).prop_map(ZoneSet)
}

fn number() -> impl Strategy<Value = u8> {
    1u8..4
}

/// One of those that have ports, or one that has none.
fn protocol() -> impl Strategy<Value = u8> {
    select(vec![protocol::TCP, protocol::UDP, protocol::ICMP])
}

/// What a rule wants of one dimension: mostly anything, or it would match next to nothing of eight.
fn wanted<T: Ord + Clone + Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeSet<T>> {
    prop_oneof![
        4 => Just(BTreeSet::new()),
        1 => btree_set(value, 1..3),
    ]
}

fn demand() -> impl Strategy<Value = Demand> {
    let only_via = prop_oneof![1 => Just(ZoneSet::EMPTY), 2 => zones()];
    let demand = (only_via, any::<bool>(), 0u32..3).prop_map(|(only_via, pinned, action)| Demand {
        only_via,
        pinned: pinned.into(),
        action,
        ..Demand::NONE
    });
    let exception = Demand {
        action: Action::Allow as u32,
        ..Demand::NONE
    };
    prop_oneof![4 => demand, 1 => Just(exception)]
}

pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    let packet = (
        wanted(address()),
        wanted(address()),
        wanted(number().prop_map(u16::from)),
        wanted(number().prop_map(u16::from)),
        wanted(protocol()),
    );
    let sender = (
        wanted(number().prop_map(u32::from)),
        wanted(number().prop_map(u64::from)),
        wanted(number().prop_map(u64::from)),
    );
    (packet, sender, option::weighted(0.9, demand())).prop_map(
        |(
            (destinations, sources, ports, source_ports, protocols),
            (users, cgroups, executables),
            demand,
        )| Rule {
            destinations,
            sources,
            ports,
            source_ports,
            protocols,
            users,
            cgroups,
            executables,
            demand,
        },
    )
}

/// A policy of a few rules, or of none.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    (vec(rule(), 0..4), zones()).prop_map(|(rules, contained)| Rules { rules, contained })
}

/// A policy whose rules fill more than one word of a set: the few of [`rules`], behind many others.
pub(crate) fn many_rules() -> impl Strategy<Value = Rules> {
    (rules(), vec(rule(), 1..4), 0usize..200).prop_map(|(mut policy, first, many)| {
        let others = first.iter().cycle().take(many).cloned();
        policy.rules.splice(0..0, others);
        policy
    })
}

pub(crate) fn sender() -> impl Strategy<Value = Sender> {
    let some = || option::of(number());
    (some(), some(), some()).prop_map(|(user, cgroup, executable)| Sender {
        user: user.map(u32::from),
        cgroup: cgroup.map(u64::from),
        executable: executable.map(u64::from),
    })
}

/// A packet with ports, and one in four without.
pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    let ports = option::weighted(0.75, (number(), number()));
    (address(), address(), ports, protocol(), any::<bool>()).prop_map(
        |(source, destination, ports, protocol, later_fragment)| {
            let (source_port, destination_port) = ports.unwrap_or_default();
            Packet {
                source,
                destination,
                source_port: source_port.into(),
                destination_port: destination_port.into(),
                protocol,
                later_fragment: later_fragment && ports.is_none(),
                icmp_type: 0,
                tos: 0,
            }
        },
    )
}
