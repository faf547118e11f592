//! The tables against what a policy means, on random policies and packets.

mod random;

use std::net::IpAddr;

use pinif_ebpf::enforce::Action;
use pinif_ebpf::policy::{MAX_RULES, dimension};
use proptest::collection::vec;
use proptest::{prop_assert_eq, proptest};

use super::*;
use crate::policy::dimension::blocks;
use crate::policy::trie::{Block, Space};
use crate::text::hash::fnv1a;

pub(in crate::policy) use random::{Packet, a_packet, a_policy, matches};
use random::{a_port, a_range};

/// `BPF_MAP_TYPE_LPM_TRIE`: the entry with the longest prefix of `key`, by the bytes that the kernel compares.
fn longest<'t, K: Copy + 't, const N: usize>(
    entries: impl Iterator<Item = &'t TrieEntry<K>>,
    bytes: impl Fn(&K) -> [u8; N],
    key: &K,
) -> Option<RuleSet> {
    let wanted = bytes(key);
    let in_common = |key: &K| {
        let differences = bytes(key)
            .into_iter()
            .zip(wanted)
            .map(|(one, other)| one ^ other);
        let differing = differences
            .enumerate()
            .find(|(_, difference)| *difference != 0);
        differing.map_or(8 * N as u32, |(byte, difference)| {
            8 * byte as u32 + difference.leading_zeros()
        })
    };
    entries
        .filter(|entry| in_common(&entry.key) >= entry.length)
        .max_by_key(|entry| entry.length)
        .map(|entry| entry.rules)
}

fn prefix_bytes(key: &PrefixKey) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&key.slot);
    bytes[8..].copy_from_slice(&key.address.0);
    bytes
}

fn port_bytes(key: &PortKey) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&key.slot);
    bytes[4..6].copy_from_slice(&key.port);
    bytes
}

/// The kernel's way to the rule: `both` are the policies that lie in its tables, `slot` says which is in force.
fn look_up(both: &[Compiled; 2], slot: Slot, packet: &Packet) -> Option<u16> {
    let active = &both[slot as usize].active;
    let number = |table: fn(&Compiled) -> &Vec<(NumberKey, RuleSet)>, number| {
        let key = NumberKey { slot, number };
        both.iter()
            .flat_map(table)
            .find(|(other, _)| *other == key)
            .map(|(_, rules)| *rules)
    };
    let address = |table: fn(&Compiled) -> &Vec<TrieEntry<PrefixKey>>, address: IpAddr| {
        longest(
            both.iter().flat_map(table),
            prefix_bytes,
            &PrefixKey::new(slot, address.into()),
        )
    };
    let port = |table: fn(&Compiled) -> &Vec<TrieEntry<PortKey>>, port: Option<u16>| {
        port.and_then(|port| {
            longest(
                both.iter().flat_map(table),
                port_bytes,
                &PortKey::new(slot, port),
            )
        })
    };
    let own = &both[slot as usize];
    let cgroup = packet
        .cgroup
        .as_ref()
        .map(|path| own.cgroups.rules_of(path));
    let executable = own
        .executables
        .iter()
        .find(|(path, _)| Some(path) == packet.executable.as_ref());
    let answers = [
        (
            dimension::DESTINATION,
            address(|all| &all.destinations, packet.destination),
            active.any_destination,
        ),
        (
            dimension::SOURCE,
            address(|all| &all.sources, packet.source),
            active.any_source,
        ),
        (
            dimension::PORT,
            port(|all| &all.ports, packet.ports().map(|ports| ports.0)),
            active.any_port,
        ),
        (
            dimension::SOURCE_PORT,
            port(|all| &all.source_ports, packet.ports().map(|ports| ports.1)),
            active.any_source_port,
        ),
        (
            dimension::PROTOCOL,
            number(|all| &all.protocols, packet.protocol.into()),
            active.any_protocol,
        ),
        (
            dimension::USER,
            packet.user.and_then(|user| number(|all| &all.users, user)),
            active.any_user,
        ),
        (dimension::CGROUP, cgroup, active.any_cgroup),
        (
            dimension::EXECUTABLE,
            executable.map(|(_, rules)| *rules),
            active.any_executable,
        ),
    ];
    let all = RuleSet([u64::MAX; MAX_RULES / 64]);
    let used = answers
        .iter()
        .filter(|(bit, ..)| active.dimensions & bit != 0);
    let matching = used.fold(all, |set, (_, found, any)| {
        set.intersection(found.unwrap_or(*any))
    });
    matching
        .first()
        .filter(|rule| u32::from(*rule) < active.rules)
}

proptest! {
    #[test]
    fn the_tables_find_the_first_rule_that_matches(
        policies in [a_policy(), a_policy()],
        packets in vec(a_packet(), 20),
    ) {
        let both = [compile(&policies[0], 0, 1), compile(&policies[1], 1, 2)];
        for packet in &packets {
            for (slot, policy) in policies.iter().enumerate() {
                let meant = policy.rules.iter().position(|rule| matches(rule, packet));
                prop_assert_eq!(look_up(&both, slot as Slot, packet).map(usize::from), meant, "{:?}", packet);
            }
        }
    }

    #[test]
    fn a_range_is_exactly_its_blocks(range in a_range(), port in a_port()) {
        let blocks = blocks(std::slice::from_ref(&range));
        let covers = |port: u16| {
            let port = Block { space: Space::Port, value: u128::from(port) << 112, bits: 16 };
            blocks.iter().filter(|block| block.contains(&port)).count()
        };
        prop_assert_eq!(covers(port), usize::from(range.contains(&port)));
        prop_assert_eq!(covers(*range.start()), 1);
        prop_assert_eq!(covers(*range.end()), 1);
        assert!(blocks.len() <= 30, "{} blocks", blocks.len());
    }
}

#[test]
fn an_empty_policy_is_empty_tables() {
    let compiled = compile(&Policy::default(), 1, 7);
    let active = Active {
        slot: 1,
        generation: 7,
        drops_unparsed: 1,
        has_exceptions: 0,
        ..Active::default()
    };
    assert_eq!(compiled.active, active);
    assert_eq!(compiled.demands, []);
    assert_eq!(compiled.destinations, []);
    assert_eq!(compiled.ports, []);
    assert_eq!(compiled.protocols, []);
    assert_eq!(compiled.cgroups, Cgroups::default());
    assert_eq!(compiled.executables, []);
}

#[test]
fn a_policy_becomes_its_tables() {
    let text = r#"
        zone.front.interfaces = "eth*"
        zone.backplane = { interfaces = "fab*", contained = true }
        rule = [
            { name = "dns", port = 53, protocol = "udp", only_via = ["front", "backplane"] },
            { name = "control", destination = ["10.0.0.0/8", "::/0"], only_via = "backplane", pinned = true, action = "drop" },
        ]
    "#;
    let policy = Policy::parse(text, "policy.toml").expect("a good policy");
    let compiled = compile(&policy, 1, 3);
    let set = |rules: &[usize]| {
        let mut set = RuleSet::EMPTY;
        rules.iter().for_each(|rule| set.insert(*rule));
        set
    };
    let all = set(&[0, 1]);
    let active = Active {
        slot: 1,
        generation: 3,
        rules: 2,
        dimensions: dimension::DESTINATION | dimension::PORT | dimension::PROTOCOL,
        contained: ZoneSet(0b10),
        enforce_until: until::NEVER,
        drops_unparsed: 1,
        has_exceptions: 0,
        any_destination: set(&[0]),
        any_source: all,
        any_port: set(&[1]),
        any_source_port: all,
        any_protocol: set(&[1]),
        any_user: all,
        any_cgroup: all,
        any_executable: all,
    };
    assert_eq!(compiled.active, active);
    let demand = |rule, name: &str, only_via, pinned, action| {
        let only_via = ZoneSet(only_via);
        (
            DemandKey { slot: 1, rule },
            Demand {
                only_via,
                pinned,
                action: action as u32,
                id: fnv1a(name.bytes()) as u32,
                _pad: 0,
            },
        )
    };
    let demands = [
        demand(0, "dns", 0b11, 0, Action::Unsaid),
        demand(1, "control", 0b10, 1, Action::Drop),
    ];
    assert_eq!(compiled.demands, demands);
    let entry = |length, address: [u16; 8], rules| TrieEntry {
        length,
        key: PrefixKey::new(1, IpAddr::from(address).into()),
        rules,
    };
    // The second keeps `::/0` from answering for IPv4.
    let destinations = [
        entry(64, [0; 8], all),
        entry(160, [0, 0, 0, 0, 0, 0xffff, 0, 0], set(&[0])),
        entry(168, [0, 0, 0, 0, 0, 0xffff, 0x0a00, 0], all),
    ];
    assert_eq!(compiled.destinations, destinations);
    let port = TrieEntry {
        length: 48,
        key: PortKey::new(1, 53),
        rules: all,
    };
    assert_eq!(compiled.ports, [port]);
    assert_eq!(
        compiled.protocols,
        [(
            NumberKey {
                slot: 1,
                number: 17
            },
            all
        )]
    );
}

#[test]
fn all_ports_are_one_entry() {
    let rule = Rule {
        ports: vec![0..=65535],
        ..Rule::default()
    };
    let policy = Policy {
        rules: vec![rule],
        ..Policy::default()
    };
    let mut rules = RuleSet::EMPTY;
    rules.insert(0);
    let entry = TrieEntry {
        length: 32,
        key: PortKey::new(0, 0),
        rules,
    };
    assert_eq!(compile(&policy, 0, 1).ports, [entry]);
}
