//! A cached verdict is what would be decided: on random hosts, of random sockets, while all of it changes.

mod kernel;
mod step;

use std::collections::BTreeMap;

use proptest::{
    collection::vec, option, prelude::*, sample::select, strategy::ValueTree as _,
    test_runner::TestRunner,
};

use self::{
    kernel::{Kernel, NETNS, Socket},
    step::{Path, Step, Variation},
};
use super::{
    super::*,
    host::Host,
    random::{host, interface},
};
use crate::{
    intent::{SocketRecord, flag},
    policy::tests::{random, rules::Sender},
    verdict_cache::SocketFacts,
};

/// A packet that has a flow key.
fn packet() -> impl Strategy<Value = Packet> {
    (random::packet(), 1u16..3, 1u16..4, select(vec![6u8, 17])).prop_map(
        |(packet, source_port, destination_port, protocol)| Packet {
            source_port,
            destination_port,
            protocol,
            later_fragment: false,
            ..packet
        },
    )
}

fn socket() -> impl Strategy<Value = Socket> {
    (
        random::sender(),
        select(vec![IfIndex::NONE, IfIndex::NONE, IfIndex(2)]),
        option::weighted(0.2, random::address()),
        (select(vec![6u8, 17]), 1u16..3),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(sender, bound, address, (protocol, port), raw, frames)| {
            let mut record = SocketRecord {
                netns: NETNS,
                ..SocketRecord::default()
            };
            if let Some(address) = address {
                record.bound_address = address;
                record.flags |= flag::BOUND_ADDRESS;
            }
            Socket {
                sender: Sender {
                    user: Some(sender.user.unwrap_or(0)),
                    ..sender
                },
                bound,
                facts: SocketFacts {
                    writes_headers: raw || frames,
                    protocol,
                    port,
                    is_apart: false,
                },
                names_interface: frames,
                record,
            }
        })
}

fn above() -> impl Strategy<Value = IfIndex> {
    select(vec![IfIndex::NONE, IfIndex::NONE, IfIndex(4)])
}

fn egress() -> impl Strategy<Value = IfIndex> {
    (2u32..4).prop_map(IfIndex)
}

fn path() -> impl Strategy<Value = Path> {
    (above(), egress()).prop_map(|(above, egress)| Path { above, egress })
}

fn variation() -> impl Strategy<Value = Variation> {
    prop_oneof![
        random::address().prop_map(Variation::Source),
        random::address().prop_map(Variation::Destination),
        (1u16..4).prop_map(Variation::SourcePort),
        (1u16..4).prop_map(Variation::DestinationPort),
        select(vec![6u8, 17]).prop_map(Variation::Protocol),
        above().prop_map(Variation::Above),
        egress().prop_map(Variation::Egress),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0usize..4;
    prop_oneof![
        24 => (index.clone(), packet(), select(vec![true, true, true, false]), path())
            .prop_map(|(socket, packet, own, path)| Step::Send { socket, packet, own, path }),
        6 => (packet(), egress(), path())
            .prop_map(|(packet, arrived, path)| Step::Forward { packet, arrived, path }),
        24 => Just(Step::Again),
        16 => variation().prop_map(Step::Varied),
        12 => index.clone().prop_map(|socket| Step::Other { socket }),
        1 => random::rules().prop_map(Step::Policy),
        1 => host().prop_map(Step::Host),
        1 => (index.clone(), prop_oneof![Just(IfIndex::NONE), interface()])
            .prop_map(|(socket, bound)| Step::Device { socket, bound }),
        1 => (index.clone(), random::address())
            .prop_map(|(socket, address)| Step::Bind { socket, address }),
        1 => (index.clone(), random::sender())
            .prop_map(|(socket, sender)| Step::Owner { socket, sender }),
        1 => (index, 0u32..4).prop_map(|(socket, user)| Step::User { socket, user }),
    ]
}

fn case() -> impl Strategy<Value = (Host, Vec<Socket>, Vec<Step>)> {
    (host(), vec(socket(), 2..5), vec(step(), 1..80))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn what_is_cached_is_what_would_be_decided((host, sockets, steps) in case()) {
        let mut kernel = Kernel::new(host, sockets);
        steps.iter().for_each(|step| kernel.step(step));
    }
}

/// The property is worth something only if each way to a cached verdict is taken.
#[test]
fn the_random_cases_take_every_way() {
    let mut runner = TestRunner::deterministic();
    let mut taken = BTreeMap::new();
    for _ in 0..512 {
        let (host, sockets, steps) = case().new_tree(&mut runner).expect("a case").current();
        let mut kernel = Kernel::new(host, sockets);
        steps.iter().for_each(|step| kernel.step(step));
        for (way, often) in kernel.taken.0 {
            *taken.entry(way).or_insert(0) += often;
        }
    }
    for way in [
        "record",
        "shared",
        "forwarded",
        "steady",
        "cached",
        "forgotten",
        "allowed",
    ] {
        let often = taken.get(way).copied().unwrap_or(0);
        assert!(often >= 100, "{way} {often} times of {taken:?}");
    }
}
