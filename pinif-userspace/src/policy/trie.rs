//! Tables of exact values and of binary prefixes, each entry with the rules that a value there satisfies.

use std::collections::{BTreeMap, HashMap};

use pinif_ebpf::{
    key::Address,
    policy::{NumberKey, RuleSet, Slot},
};

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

/// The rules that take any value, and each value that is wanted with the rules that want it.
pub(super) fn wanted<T: Ord + Clone>(wanted: &[Vec<T>]) -> (RuleSet, BTreeMap<T, RuleSet>) {
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
pub(super) fn table<T: Ord + Clone>(values: &[Vec<T>]) -> (RuleSet, BTreeMap<T, RuleSet>) {
    let (any, mut named) = wanted(values);
    for rules in named.values_mut() {
        *rules = rules.union(any);
    }
    (any, named)
}

/// A table of numbers, to be asked in userspace.
pub(super) fn by_number(table: &[(NumberKey, RuleSet)]) -> HashMap<u32, RuleSet> {
    let entries = table.iter();
    entries.map(|(key, rules)| (key.number, *rules)).collect()
}

/// The entries of a table of numbers.
pub(super) fn numbered(table: BTreeMap<u32, RuleSet>, slot: Slot) -> Vec<(NumberKey, RuleSet)> {
    let key = |number| NumberKey { slot, number };
    let entries = table.into_iter();
    entries
        .map(|(number, rules)| (key(number), rules))
        .collect()
}

/// What a prefix is of. IPv4 is a part of the mapped space, and yet none of what IPv6 prefixes mean: `::/0` is not
/// around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    V6,
    V4,
    Port,
}

/// A binary prefix, of an address or of a port. They sort so that each comes after those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    pub(super) space: Space,
    /// The bits, from the top; zero behind the prefix.
    pub(super) value: u128,
    pub(super) bits: u8,
}

impl Block {
    /// All of IPv4.
    const V4: Self = Self {
        space: Space::V4,
        value: 0xffff_0000_0000,
        bits: Address::V4_PREFIX,
    };

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.space == other.space && self.spans(other)
    }

    /// Whether its bits are a prefix of the other's.
    fn spans(&self, other: &Self) -> bool {
        let behind = 128 - u32::from(self.bits);
        self.bits <= other.bits && (self.value ^ other.value).checked_shr(behind).unwrap_or(0) == 0
    }
}

/// The rules that take any value, and an entry for each wanted prefix.
pub(super) fn trie<K>(
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
