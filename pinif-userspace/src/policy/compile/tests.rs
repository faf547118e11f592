//! The tables against what a policy means, on random policies and packets.

use std::net::IpAddr;

use pinif_ebpf::enforce::Action;
use pinif_ebpf::policy::MAX_RULES;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::{prop_assert_eq, proptest};

use super::*;
use crate::policy::values::WITH_PORTS;
use crate::text::hash::fnv1a;

/// All of a packet that rules look at.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Packet {
    pub(in crate::policy) destination: IpAddr,
    pub(in crate::policy) source: IpAddr,
    pub(in crate::policy) protocol: u8,
    /// Destination and source port, for protocols that have them.
    pub(in crate::policy) ports: (u16, u16),
    pub(in crate::policy) user: Option<u32>,
    pub(in crate::policy) cgroup: Option<String>,
    pub(in crate::policy) executable: Option<PathBuf>,
}

impl Packet {
    pub(in crate::policy) fn ports(&self) -> Option<(u16, u16)> {
        WITH_PORTS.contains(&self.protocol).then_some(self.ports)
    }
}

/// What a rule means, read off its documentation.
pub(in crate::policy) fn matches(rule: &Rule, packet: &Packet) -> bool {
    fn one_of<T>(list: &[T], matches: impl Fn(&T) -> bool) -> bool {
        list.is_empty() || list.iter().any(matches)
    }
    let below = |above: &String, path: &String| {
        path == above || path.starts_with(&format!("{}/", above.trim_end_matches('/')))
    };
    one_of(&rule.destinations, |net| net.contains(&packet.destination))
        && one_of(&rule.sources, |net| net.contains(&packet.source))
        && one_of(&rule.ports, |range| {
            packet
                .ports()
                .is_some_and(|(port, _)| range.contains(&port))
        })
        && one_of(&rule.source_ports, |range| {
            packet
                .ports()
                .is_some_and(|(_, port)| range.contains(&port))
        })
        && one_of(&rule.protocols, |protocol| *protocol == packet.protocol)
        && one_of(&rule.users, |user| Some(*user) == packet.user)
        && one_of(&rule.cgroups, |above| {
            packet
                .cgroup
                .as_ref()
                .is_some_and(|path| below(above, path))
        })
        && one_of(&rule.executables, |path| {
            Some(path) == packet.executable.as_ref()
        })
}

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

// Values from a small range, so that rules overlap and packets meet them.

fn an_address() -> impl Strategy<Value = IpAddr> {
    let v4 = (select(vec![10u8, 11, 192]), 0u8..3, 0u8..4)
        .prop_map(|(a, b, c)| IpAddr::from([a, b, 0, c]));
    let v6 = (select(vec![0u16, 0xfd00, 0xfd01, 0xfe80]), 0u16..4)
        .prop_map(|(a, h)| IpAddr::from([a, 0, 0, 0, 0, 0, 0, h]));
    prop_oneof![v4, v6]
}

fn a_net() -> impl Strategy<Value = IpNet> {
    (an_address(), any::<u8>(), any::<bool>()).prop_map(|(address, length, short)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = if short {
            length % 17
        } else {
            longest - length % 9
        };
        IpNet::new(address, length)
            .expect("a length of the family")
            .trunc()
    })
}

fn a_port() -> impl Strategy<Value = u16> {
    prop_oneof![0u16..20, 65520u16..=65535, any::<u16>()]
}

fn a_range() -> impl Strategy<Value = RangeInclusive<u16>> {
    (a_port(), a_port()).prop_map(|(one, other)| one.min(other)..=one.max(other))
}

fn a_protocol() -> impl Strategy<Value = u8> {
    select(vec![1u8, 6, 17, 47, 132])
}

fn a_cgroup() -> impl Strategy<Value = String> {
    select(vec!["/", "/a", "/a/b", "/a/b/c", "/ab", "/b"]).prop_map(str::to_owned)
}

fn an_executable() -> impl Strategy<Value = PathBuf> {
    select(vec!["/bin/a", "/bin/b", "/bin/c"]).prop_map(PathBuf::from)
}

/// Mostly no constraint, so that rules match at all.
fn some<S: Strategy>(values: S) -> impl Strategy<Value = Vec<S::Value>>
where
    S::Value: Clone,
{
    prop_oneof![2 => Just(Vec::new()), 1 => vec(values, 1..4)]
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let packet = (
        some(a_net()),
        some(a_net()),
        some(a_range()),
        some(a_range()),
        some(a_protocol()),
    );
    let sender = (some(0u32..3), some(a_cgroup()), some(an_executable()));
    (packet, sender, any::<bool>()).prop_map(|(packet, sender, pinned)| Rule {
        destinations: packet.0,
        sources: packet.1,
        ports: packet.2,
        source_ports: packet.3,
        protocols: packet.4,
        users: sender.0,
        cgroups: sender.1,
        executables: sender.2,
        pinned,
        ..Rule::default()
    })
}

pub(in crate::policy) fn a_policy() -> impl Strategy<Value = Policy> {
    // Some policies have rules in more than one word of the sets.
    prop_oneof![8 => vec(a_rule(), 0..8), 1 => vec(a_rule(), 60..80)].prop_map(|rules| Policy {
        rules,
        ..Policy::default()
    })
}

pub(in crate::policy) fn a_packet() -> impl Strategy<Value = Packet> {
    let who = (
        option::of(0u32..4),
        option::of(a_cgroup()),
        option::of(an_executable()),
    );
    let what = (
        an_address(),
        an_address(),
        a_protocol(),
        (a_port(), a_port()),
    );
    (what, who).prop_map(
        |((destination, source, protocol, ports), (user, cgroup, executable))| Packet {
            destination,
            source,
            protocol,
            ports,
            user,
            cgroup,
            executable,
        },
    )
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
