//! A policy as entries of the kernel's tables: a pure function.
//!
//! Each dimension (destination, source, ports, …) has a table that answers with the set of rules that a value
//! satisfies, those that do not look at this dimension included. The kernel intersects the answers, and the lowest rule
//! decides ([`pinif_ebpf::policy`]). A look-up in a trie answers with its longest prefix alone, so an entry holds the
//! rules of all prefixes around it too.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::IpNet;
use pinif_ebpf::enforce::until;
use pinif_ebpf::key::Address;
use pinif_ebpf::policy::{
    Active, Demand, DemandKey, NumberKey, PortKey, PrefixKey, RuleSet, Slot, ZoneSet, dimension,
};

use super::{Policy, Rule};

/// All that the kernel's tables hold of one policy.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The policy itself, to be published last: it names the slot, and what to answer for values without an entry. Whether
    /// it is enforced is the publisher's to say.
    pub active: Active,
    /// What each rule demands.
    pub demands: Vec<(DemandKey, Demand)>,
    /// Destination prefixes.
    pub destinations: Vec<TrieEntry<PrefixKey>>,
    /// Source prefixes.
    pub sources: Vec<TrieEntry<PrefixKey>>,
    /// Destination ports.
    pub ports: Vec<TrieEntry<PortKey>>,
    /// Source ports.
    pub source_ports: Vec<TrieEntry<PortKey>>,
    /// IP protocols.
    pub protocols: Vec<(NumberKey, RuleSet)>,
    /// User ids.
    pub users: Vec<(NumberKey, RuleSet)>,
    /// Cgroups, for the kernel to know by their ids.
    pub cgroups: Cgroups,
    /// Programs by their paths, for the kernel to know by device and inode. Two paths of one file answer with the
    /// union of their sets.
    pub executables: Vec<(PathBuf, RuleSet)>,
}

/// An entry of a trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrieEntry<K> {
    /// The length of the prefix in bits of the key, the slot's included.
    pub length: u32,
    /// The key's data; zero behind the prefix.
    pub key: K,
    /// The rules that every value below this prefix and no longer one satisfies.
    pub rules: RuleSet,
}

/// The rules for cgroups: each path answers for itself and all below it, except where a longer path does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// The set for processes in none of the cgroups.
    pub any: RuleSet,
    /// The cgroups that the policy names.
    pub named: BTreeMap<String, RuleSet>,
}

impl Cgroups {
    /// The rules for processes in the cgroup at this path of the v2 hierarchy.
    pub fn rules_of(&self, path: &str) -> RuleSet {
        above(path)
            .find_map(|path| self.named.get(path).copied())
            .unwrap_or(self.any)
    }
}

/// The entries of `policy` in the tables' half `slot`; `generation` is what sightings will name it by.
pub fn compile(policy: &Policy, slot: Slot, generation: u32) -> Compiled {
    let rules = &policy.rules;
    let (any_destination, destinations) = trie(
        &of(rules, |rule| nets(&rule.destinations)),
        prefix_key(slot),
    );
    let (any_source, sources) = trie(&of(rules, |rule| nets(&rule.sources)), prefix_key(slot));
    let (any_port, ports) = trie(&of(rules, |rule| blocks(&rule.ports)), port_key(slot));
    let (any_source_port, source_ports) = trie(
        &of(rules, |rule| blocks(&rule.source_ports)),
        port_key(slot),
    );
    let (any_protocol, protocols) = table(&of(rules, |rule| {
        rule.meant_protocols()
            .iter()
            .map(|number| u32::from(*number))
            .collect()
    }));
    let (any_user, users) = table(&of(rules, |rule| rule.users.clone()));
    let cgroups = cgroups(&of(rules, |rule| rule.cgroups.clone()));
    let (any_executable, executables) = table(&of(rules, |rule| rule.executables.clone()));
    let numbered = |table: BTreeMap<u32, RuleSet>| {
        let key = |number| NumberKey { slot, number };
        table
            .into_iter()
            .map(|(number, rules)| (key(number), rules))
            .collect::<Vec<_>>()
    };
    let dimensions = [
        (dimension::DESTINATION, destinations.is_empty()),
        (dimension::SOURCE, sources.is_empty()),
        (dimension::PORT, ports.is_empty()),
        (dimension::SOURCE_PORT, source_ports.is_empty()),
        (dimension::PROTOCOL, protocols.is_empty()),
        (dimension::USER, users.is_empty()),
        (dimension::CGROUP, cgroups.named.is_empty()),
        (dimension::EXECUTABLE, executables.is_empty()),
    ];
    Compiled {
        active: Active {
            slot,
            generation,
            rules: rules.len() as u32,
            dimensions: dimensions
                .iter()
                .filter(|(_, unused)| !unused)
                .map(|(bit, _)| bit)
                .sum(),
            contained: zones(
                policy
                    .zones
                    .iter()
                    .enumerate()
                    .filter(|(_, zone)| zone.contained)
                    .map(|(number, _)| number),
            ),
            enforce_until: until::NEVER,
            any_destination,
            any_source,
            any_port,
            any_source_port,
            any_protocol,
            any_user,
            any_cgroup: cgroups.any,
            any_executable,
        },
        demands: rules
            .iter()
            .enumerate()
            .map(|(number, rule)| demand(slot, number, rule))
            .collect(),
        destinations,
        sources,
        ports,
        source_ports,
        protocols: numbered(protocols),
        users: numbered(users),
        cgroups,
        executables: executables.into_iter().collect(),
    }
}

fn demand(slot: Slot, number: usize, rule: &Rule) -> (DemandKey, Demand) {
    let key = DemandKey {
        slot,
        rule: number as u32,
    };
    let demand = Demand {
        only_via: zones(rule.only_via.iter().copied()),
        pinned: rule.pinned.into(),
        action: rule.action as u32,
        id: rule.id(),
        _pad: 0,
    };
    (key, demand)
}

fn zones(numbers: impl Iterator<Item = usize>) -> ZoneSet {
    let mut set = ZoneSet::EMPTY;
    numbers.for_each(|number| set.insert(number));
    set
}

/// What each rule wants of one dimension; nothing is anything.
fn of<T>(rules: &[Rule], wanted: impl Fn(&Rule) -> Vec<T>) -> Vec<Vec<T>> {
    rules.iter().map(wanted).collect()
}

/// The rules that take any value, and each value that is wanted with the rules that want it.
fn wanted<T: Ord + Clone>(wanted: &[Vec<T>]) -> (RuleSet, BTreeMap<T, RuleSet>) {
    let mut any = RuleSet::EMPTY;
    let mut named = BTreeMap::<T, RuleSet>::new();
    for (rule, values) in wanted.iter().enumerate() {
        if values.is_empty() {
            any.insert(rule);
        }
        for value in values {
            named.entry(value.clone()).or_default().insert(rule);
        }
    }
    (any, named)
}

/// A table of exact values.
fn table<T: Ord + Clone>(values: &[Vec<T>]) -> (RuleSet, BTreeMap<T, RuleSet>) {
    let (any, mut named) = wanted(values);
    for rules in named.values_mut() {
        *rules = rules.union(any);
    }
    (any, named)
}

fn cgroups(paths: &[Vec<String>]) -> Cgroups {
    let (any, own) = wanted(paths);
    let inherited = |path: &str| {
        above(path)
            .filter_map(|path| own.get(path))
            .fold(any, |all, rules| all.union(*rules))
    };
    let named = own
        .keys()
        .map(|path| (path.clone(), inherited(path)))
        .collect();
    Cgroups { any, named }
}

/// The path and all above it, `/` last.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(0) | None => None,
        Some(slash) => Some(&path[..slash]),
    })
}

/// What a prefix is of. IPv4 is a part of the mapped space, and yet none of what IPv6 prefixes mean: `::/0` is not
/// around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Space {
    V6,
    V4,
    Port,
}

/// A binary prefix, of an address or of a port. They sort so that each comes after those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    space: Space,
    /// The bits, from the top; zero behind the prefix.
    value: u128,
    bits: u8,
}

impl Block {
    /// All of IPv4.
    const V4: Self = Self {
        space: Space::V4,
        value: 0xffff_0000_0000,
        bits: Address::V4_PREFIX,
    };

    fn contains(&self, other: &Self) -> bool {
        self.space == other.space && self.spans(other)
    }

    /// Whether its bits are a prefix of the other's.
    fn spans(&self, other: &Self) -> bool {
        let behind = 128 - u32::from(self.bits);
        self.bits <= other.bits && (self.value ^ other.value).checked_shr(behind).unwrap_or(0) == 0
    }
}

/// The rules that take any value, and an entry for each wanted prefix.
fn trie<K>(
    blocks: &[Vec<Block>],
    key: impl Fn(&Block) -> (u32, K),
) -> (RuleSet, Vec<TrieEntry<K>>) {
    let (any, mut own) = wanted(blocks);
    // In the trie, a short IPv6 prefix lies around the mapped IPv4 addresses, which it does not mean.
    if own
        .keys()
        .any(|block| block.space == Space::V6 && block.spans(&Block::V4))
    {
        own.entry(Block::V4).or_default();
    }
    let mut around = Vec::<(Block, RuleSet)>::new();
    let mut entries = Vec::with_capacity(own.len());
    for (block, rules) in own {
        while around
            .last()
            .is_some_and(|(outer, _)| !outer.contains(&block))
        {
            around.pop();
        }
        let rules = rules.union(around.last().map_or(any, |(_, inherited)| *inherited));
        around.push((block, rules));
        let (length, key) = key(&block);
        entries.push(TrieEntry { length, key, rules });
    }
    (any, entries)
}

fn nets(nets: &[IpNet]) -> Vec<Block> {
    let block = |net: &IpNet| {
        let (space, mapped_bits) = match net {
            IpNet::V4(_) => (Space::V4, Address::V4_PREFIX),
            IpNet::V6(_) => (Space::V6, 0),
        };
        Block {
            space,
            value: u128::from_be_bytes(Address::from(net.network()).0),
            bits: mapped_bits + net.prefix_len(),
        }
    };
    nets.iter().map(block).collect()
}

fn prefix_key(slot: Slot) -> impl Fn(&Block) -> (u32, PrefixKey) {
    move |block| {
        let address = Address(block.value.to_be_bytes());
        (PrefixKey::length(block.bits), PrefixKey::new(slot, address))
    }
}

fn port_key(slot: Slot) -> impl Fn(&Block) -> (u32, PortKey) {
    move |block| {
        let port = (block.value >> 112) as u16;
        (PortKey::length(block.bits), PortKey::new(slot, port))
    }
}

/// The fewest binary prefixes that make up the ranges, each range by itself.
fn blocks(ranges: &[RangeInclusive<u16>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for range in ranges {
        let (mut from, end) = (u32::from(*range.start()), u32::from(*range.end()) + 1);
        while from < end {
            // As large as its start is aligned, and as fits before the end.
            let size = (from | 1 << 16).trailing_zeros().min((end - from).ilog2());
            blocks.push(Block {
                space: Space::Port,
                value: u128::from(from) << 112,
                bits: (16 - size) as u8,
            });
            from += 1 << size;
        }
    }
    blocks
}

#[cfg(test)]
pub(super) mod tests;
