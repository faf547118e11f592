//! A trie's answers: the entry with the longest prefix of a value.

use std::collections::{BTreeMap, HashMap};

use pinif_ebpf::{
    key::Address,
    policy::{PortKey, PrefixKey, RuleSet},
};

use super::trie::TrieEntry;

/// The entries of each length, by their bits from the top of the word.
#[derive(Debug, Default)]
pub(super) struct Prefixes(BTreeMap<u32, HashMap<u128, RuleSet>>);

impl Prefixes {
    /// Those of a table of addresses.
    pub fn of_addresses(entries: &[TrieEntry<PrefixKey>]) -> Self {
        Self::of(entries, PrefixKey::length(0), |key| word(&key.address))
    }

    /// Those of a table of ports.
    pub fn of_ports(entries: &[TrieEntry<PortKey>]) -> Self {
        Self::of(entries, PortKey::length(0), |key| {
            top(u16::from_be_bytes(key.port))
        })
    }

    fn of<K>(entries: &[TrieEntry<K>], before: u32, value: impl Fn(&K) -> u128) -> Self {
        let mut all = Self::default();
        for entry in entries {
            let bits = entry.length - before;
            let same = all.0.entry(bits).or_default();
            same.insert(value(&entry.key) & mask(bits), entry.rules);
        }
        all
    }

    /// What the table says of an address.
    pub fn of_address(&self, address: &Address) -> Option<RuleSet> {
        self.longest(word(address))
    }

    /// What the table says of a port.
    pub fn of_port(&self, port: u16) -> Option<RuleSet> {
        self.longest(top(port))
    }

    fn longest(&self, value: u128) -> Option<RuleSet> {
        let mut longest_first = self.0.iter().rev();
        longest_first.find_map(|(&bits, entries)| entries.get(&(value & mask(bits))).copied())
    }
}

fn word(address: &Address) -> u128 {
    u128::from_be_bytes(address.0)
}

fn top(port: u16) -> u128 {
    u128::from(port) << 112
}

/// The first bits of a word.
fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0)
}
