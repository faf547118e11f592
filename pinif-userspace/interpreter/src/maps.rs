//! Maps, in memory. A per-CPU map has one CPU's values: programs run one after the other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use crate::memory::Memory;

/// `enum bpf_map_type` (linux/bpf.h).
pub mod kind {
    /// `BPF_MAP_TYPE_HASH`.
    pub const HASH: u32 = 1;
    /// `BPF_MAP_TYPE_ARRAY`.
    pub const ARRAY: u32 = 2;
    /// `BPF_MAP_TYPE_PROG_ARRAY`.
    pub const PROG_ARRAY: u32 = 3;
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`.
    pub const PERCPU_ARRAY: u32 = 6;
    /// `BPF_MAP_TYPE_LRU_HASH`.
    pub const LRU_HASH: u32 = 9;
    /// `BPF_MAP_TYPE_LPM_TRIE`.
    pub const LPM_TRIE: u32 = 11;
    /// `BPF_MAP_TYPE_SK_STORAGE`.
    pub const SK_STORAGE: u32 = 24;
    /// `BPF_MAP_TYPE_RINGBUF`.
    pub const RINGBUF: u32 = 27;
}

/// `BPF_NOEXIST`.
const NO_EXIST: u64 = 1;
/// `BPF_EXIST`.
const EXIST: u64 = 2;

/// `E2BIG`.
const TOO_BIG: i64 = -7;
/// `ENOENT`.
const NO_ENTRY: i64 = -2;
/// `EEXIST`.
const EXISTS: i64 = -17;

/// A map as the object defines it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its type, one of [`kind`].
    pub kind: u32,
    /// The bytes of a key.
    pub key: usize,
    /// The bytes of a value.
    pub value: usize,
    /// How many entries it has room for.
    pub entries: u32,
    /// The constants and variables of a section of the object; else empty.
    pub data: Vec<u8>,
}

/// A map.
#[derive(Debug)]
pub struct Map {
    pub definition: Definition,
    pub content: Content,
    /// What an update returns instead of making it: a kernel without memory.
    pub refuses: Option<i64>,
}

/// What a map holds.
#[derive(Debug)]
pub enum Content {
    /// The address of the first value.
    Array(u64),
    /// The addresses of the values; in a trie, keys begin with the length of the prefix.
    Hash(BTreeMap<Vec<u8>, u64>),
    /// The same, of which a look-up finds the longest prefix.
    Trie(BTreeMap<Vec<u8>, u64>),
    /// The addresses of what is stored with sockets, by the sockets' addresses.
    Storage(BTreeMap<u64, u64>),
    /// The names of programs.
    Programs(BTreeMap<u32, String>),
    /// The records that were submitted.
    Ring(Vec<Vec<u8>>),
}

impl Map {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// Where its type is none that pinif has.
    pub fn new(definition: Definition, memory: &mut Memory) -> Result<Self> {
        let content = match definition.kind {
            kind::ARRAY | kind::PERCPU_ARRAY => {
                Content::Array(memory.allocate(if definition.data.is_empty() {
                    vec![0; definition.stride() * definition.entries as usize]
                } else {
                    definition.data.clone()
                }))
            }
            kind::HASH | kind::LRU_HASH => Content::Hash(BTreeMap::new()),
            kind::LPM_TRIE => Content::Trie(BTreeMap::new()),
            kind::SK_STORAGE => Content::Storage(BTreeMap::new()),
            kind::PROG_ARRAY => Content::Programs(BTreeMap::new()),
            kind::RINGBUF => Content::Ring(Vec::new()),
            other => bail!("the map {} is of the type {other}", definition.name),
        };
        Ok(Self {
            definition,
            content,
            refuses: None,
        })
    }

    /// The address of a key's value; zero where there is none (`bpf_map_lookup_elem`).
    ///
    /// # Errors
    ///
    /// Where the map has no keys.
    pub fn look_up(&self, key: &[u8]) -> Result<u64> {
        Ok(match &self.content {
            Content::Array(first) => {
                let index = index_of(key);
                if index < self.definition.entries {
                    first + u64::from(index) * self.definition.stride() as u64
                } else {
                    0
                }
            }
            Content::Hash(values) => values.get(key).copied().unwrap_or(0),
            Content::Trie(values) => longest(values, key),
            Content::Storage(_) | Content::Programs(_) | Content::Ring(_) => {
                bail!("a look-up in the map {}", self.definition.name)
            }
        })
    }

    /// Enters a value (`bpf_map_update_elem`); what the helper returns.
    ///
    /// # Errors
    ///
    /// Where the map has no keys, or a key or value has another size.
    pub fn update(
        &mut self,
        key: &[u8],
        value: &[u8],
        flags: u64,
        memory: &mut Memory,
    ) -> Result<i64> {
        let Definition { name, .. } = &self.definition;
        ensure!(
            key.len() == self.definition.key && value.len() == self.definition.value,
            "the map {name} has other keys and values"
        );
        if let Some(error) = self.refuses {
            return Ok(error);
        }
        let capacity = self.definition.entries as usize;
        let evicts = self.definition.kind == kind::LRU_HASH;
        match &mut self.content {
            Content::Array(first) => {
                let index = index_of(key);
                if index >= self.definition.entries {
                    return Ok(TOO_BIG);
                }
                let at = *first + u64::from(index) * self.definition.stride() as u64;
                memory.write(at, value)?;
            }
            Content::Hash(values) | Content::Trie(values) => match values.get(key) {
                Some(_) if flags & NO_EXIST != 0 => return Ok(EXISTS),
                Some(&at) => memory.write(at, value)?,
                None if flags & EXIST != 0 => return Ok(NO_ENTRY),
                None if values.len() >= capacity && evicts => {
                    bail!("the map {name} is full: what it evicts is not known")
                }
                None if values.len() >= capacity => return Ok(TOO_BIG),
                None => {
                    let at = memory.allocate(value.to_vec());
                    values.insert(key.to_vec(), at);
                }
            },
            Content::Storage(_) | Content::Programs(_) | Content::Ring(_) => {
                bail!("an update of the map {name}")
            }
        }
        Ok(0)
    }

    /// Removes a key (`bpf_map_delete_elem`); what the helper returns. The value stays readable: the kernel frees it after an RCU
    /// grace period.
    ///
    /// # Errors
    ///
    /// Where the map is no hash map.
    pub fn remove(&mut self, key: &[u8]) -> Result<i64> {
        let Content::Hash(values) = &mut self.content else {
            bail!("a removal from the map {}", self.definition.name);
        };
        Ok(values.remove(key).map_or(NO_ENTRY, |_| 0))
    }

    /// Whether all CPUs have its values in common, and any of them may write them.
    pub fn is_shared(&self) -> bool {
        !matches!(self.definition.kind, kind::PERCPU_ARRAY | kind::SK_STORAGE)
    }

    /// Whether the region at one of these addresses is of its values. It is asked of a map that is shared: none of sockets is.
    pub fn has_any(&self, regions: &BTreeSet<u64>) -> bool {
        match &self.content {
            Content::Array(first) => regions.contains(first),
            Content::Hash(values) | Content::Trie(values) => {
                values.values().any(|at| regions.contains(at))
            }
            Content::Storage(_) | Content::Programs(_) | Content::Ring(_) => false,
        }
    }

    /// The name of the program in a place of a program array.
    ///
    /// # Errors
    ///
    /// Where the map is none.
    pub fn program(&self, place: u32) -> Result<Option<&String>> {
        let Content::Programs(programs) = &self.content else {
            bail!("a tail call by the map {}", self.definition.name);
        };
        Ok(programs.get(&place))
    }
}

impl Definition {
    /// How far the values of an array are from each other (`array_map_alloc`).
    fn stride(&self) -> usize {
        self.value.next_multiple_of(8)
    }
}

/// The index that an array's key is; beyond any array where it is no such key.
fn index_of(key: &[u8]) -> u32 {
    key.try_into().map_or(u32::MAX, u32::from_le_bytes)
}

/// The value of the longest prefix that a key has (`trie_lookup_elem`); zero where it has none.
fn longest(values: &BTreeMap<Vec<u8>, u64>, key: &[u8]) -> u64 {
    let split = |key: &[u8]| -> (u32, Vec<u8>) {
        let (length, bits) = key.split_at(4);
        (index_of(length), bits.to_vec())
    };
    let (most, wanted) = split(key);
    let found = values.iter().filter_map(|(prefix, &at)| {
        let (length, bits) = split(prefix);
        (length <= most && agree(&bits, &wanted, length)).then_some((length, at))
    });
    found.max().map_or(0, |(_, at)| at)
}

/// Whether the first bits are the same.
fn agree(a: &[u8], b: &[u8], bits: u32) -> bool {
    (0..bits).all(|bit| {
        let (byte, mask) = (bit as usize / 8, 0x80 >> (bit % 8));
        a[byte] & mask == b[byte] & mask
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(kind: u32, key: usize, entries: u32) -> (Map, Memory) {
        let mut memory = Memory::default();
        let definition = Definition {
            name: "MAP".to_owned(),
            kind,
            key,
            value: 4,
            entries,
            data: Vec::new(),
        };
        let map = Map::new(definition, &mut memory).expect("a map");
        (map, memory)
    }

    #[test]
    fn a_trie_answers_with_the_longest_prefix() {
        let (mut map, mut memory) = map(kind::LPM_TRIE, 8, 8);
        let key = |length: u32, address: [u8; 4]| [length.to_le_bytes(), address].concat();
        for (prefix, value) in [
            (key(8, [10, 0, 0, 0]), 1u32),
            (key(12, [10, 16, 0, 0]), 2),
            (key(32, [10, 16, 0, 1]), 3),
        ] {
            let status = map.update(&prefix, &value.to_le_bytes(), 0, &mut memory);
            assert_eq!(status.expect("an update"), 0);
        }
        for (address, value) in [
            ([10, 0, 0, 1], 1),
            ([10, 31, 0, 1], 2),
            ([10, 16, 0, 1], 3),
            ([10, 32, 0, 1], 1),
        ] {
            let at = map.look_up(&key(32, address)).expect("a look-up");
            assert_eq!(memory.number(at, 4).expect("a value"), value, "{address:?}");
        }
        assert_eq!(map.look_up(&key(32, [11, 0, 0, 1])).expect("a look-up"), 0);
        assert_eq!(map.look_up(&key(7, [10, 0, 0, 0])).expect("a look-up"), 0);
    }

    #[test]
    fn a_hash_map_returns_what_the_kernel_does() {
        let (mut map, mut memory) = map(kind::HASH, 4, 1);
        let mut update = |map: &mut Map, key: u32, flags| {
            let status = map.update(&key.to_le_bytes(), &[0; 4], flags, &mut memory);
            status.expect("an update")
        };
        assert_eq!(update(&mut map, 1, EXIST), NO_ENTRY);
        assert_eq!(update(&mut map, 1, NO_EXIST), 0);
        assert_eq!(update(&mut map, 1, NO_EXIST), EXISTS);
        assert_eq!(update(&mut map, 1, 0), 0);
        assert_eq!(update(&mut map, 2, 0), TOO_BIG);
        let one = 1u32.to_le_bytes();
        assert_eq!(map.remove(&one).expect("a removal"), 0);
        assert_eq!(map.remove(&one).expect("a removal"), NO_ENTRY);
        assert_eq!(map.look_up(&one).expect("a look-up"), 0);
    }

    #[test]
    fn an_array_ends_with_its_last_entry() {
        let (map, _) = map(kind::ARRAY, 4, 2);
        let [first, second, third] =
            [0u32, 1, 2].map(|index| map.look_up(&index.to_le_bytes()).expect("a look-up"));
        assert_eq!((second - first, third), (8, 0));
    }
}
