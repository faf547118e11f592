//! Random hosts, and packets of them.

use proptest::{
    collection::{btree_map, btree_set},
    option,
    prelude::*,
    sample::select,
};

use super::{
    super::*,
    host::{Host, Sent},
};
use crate::policy::tests::random;

/// Interfaces are few, the loopback device (1) among them.
pub(super) fn interface() -> impl Strategy<Value = IfIndex> {
    (1u32..6).prop_map(IfIndex)
}

/// Any relation is taken for carriage, closed or not: what to make of it is userspace's.
pub(super) fn host() -> impl Strategy<Value = Host> {
    let holders = prop_oneof![
        3 => btree_set(interface(), 1),
        1 => btree_set(interface(), 2..4),
    ];
    (
        btree_set((interface(), interface()), 0..8),
        btree_map(random::address(), holders, 1..5),
        btree_map(interface(), random::zones(), 0..6),
        btree_set(interface(), 0..2),
        random::rules(),
        random::sender(),
    )
        .prop_map(
            |(lower_devices, holders, zones, ends, policy, sender)| Host {
                lower_devices,
                holders,
                zones,
                ends,
                policy,
                sender,
            },
        )
}

/// A packet; every third leaves by the device that its socket is bound to.
pub(super) fn sent() -> impl Strategy<Value = Sent> {
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
        prop_oneof![3 => Just(IfIndex::NONE), 1 => interface()],
    )
        .prop_map(
            |(origin, bound, names_interface, bound_address, packet, other, home, heard)| Sent {
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
                heard,
            },
        )
}
