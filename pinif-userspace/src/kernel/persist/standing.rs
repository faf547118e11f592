//! What outlives a collector beside the programs' own maps, and only collectors read: maps without a program.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData},
};
use pinif_ebpf::{
    carrier::DeviceKey,
    key::{IfIndex, NetNsCookie},
    policy::Slot,
};

use crate::{
    host::links::text,
    kernel::{attach::Mode, clock::monotonic},
};

/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;
/// How many interfaces and namespaces are remembered, those that are gone among them.
const INTERFACES: u32 = 131_072;
const NAMESPACES: u32 = 16_384;

/// What is true of all lives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the first began, in nanoseconds of `CLOCK_MONOTONIC`.
    pub started: u64,
    /// What the policy in each slot was made from.
    pub policies: [u64; 2],
    /// What tells this auditor's marks on packets from others'.
    pub secret: u32,
    /// How it is attached: 0 by TCX, 1 by clsact.
    pub mode: u32,
}

impl Standing {
    /// How long ago the first began.
    pub(super) fn age(&self) -> Duration {
        monotonic().saturating_sub(Duration::from_nanos(self.started))
    }

    /// How it is attached.
    pub(super) const fn mode(&self) -> Mode {
        match self.mode {
            0 => Mode::Tcx,
            _ => Mode::Clsact,
        }
    }
}

/// The number of a way to attach.
pub(super) const fn number_of(mode: Mode) -> u32 {
    match mode {
        Mode::Tcx => 0,
        Mode::Clsact => 1,
    }
}

/// What is remembered of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its namespace.
    pub netns: NetNsCookie,
    /// Its index.
    pub index: IfIndex,
    /// Its last name, as it is shown.
    pub name: String,
    /// Whether it is gone.
    pub is_gone: bool,
    /// How many interfaces have had the index before.
    pub predecessors: u32,
}

/// An interface's name, as maps have it: it has 15 bytes, each of which may be shown as three.
pub(super) type NameBytes = [u8; 48];

/// The same, as the map has it.
#[repr(C)]
#[derive(Clone, Copy)]
struct InterfaceValue {
    name: NameBytes,
    is_gone: u32,
    predecessors: u32,
}

/// A namespace's name: that of a file, at most.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct NamespaceValue([u8; 256]);

// SAFETY: `repr(C)`, integers, without padding.
unsafe impl Pod for Standing {}
// SAFETY: as above.
unsafe impl Pod for InterfaceValue {}
// SAFETY: as above.
unsafe impl Pod for NamespaceValue {}

const _: () = assert!(size_of::<Standing>() == 32);
const _: () = assert!(size_of::<InterfaceValue>() == 56);

/// The names that interfaces and namespaces have or had.
pub struct Memory {
    interfaces: HashMap<MapData, DeviceKey, InterfaceValue>,
    namespaces: HashMap<MapData, NetNsCookie, NamespaceValue>,
}

impl Memory {
    /// Makes the maps and pins them in a directory.
    pub(super) fn make(directory: &Path) -> Result<()> {
        make::<DeviceKey, InterfaceValue>(directory, "interfaces", INTERFACES)?;
        make::<NetNsCookie, NamespaceValue>(directory, "namespaces", NAMESPACES)
    }

    /// Opens the maps that are pinned in a directory.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        Ok(Self {
            interfaces: open(directory, "interfaces")?,
            namespaces: open(directory, "namespaces")?,
        })
    }

    /// All interfaces.
    pub(super) fn interfaces(&self) -> Vec<Remembered> {
        let known = self.interfaces.iter().filter_map(Result::ok);
        known
            .map(|(key, value)| Remembered {
                netns: key.netns,
                index: key.device,
                name: text(&value.name),
                is_gone: value.is_gone != 0,
                predecessors: value.predecessors,
            })
            .collect()
    }

    /// All namespaces.
    pub(super) fn namespaces(&self) -> Vec<(NetNsCookie, String)> {
        let known = self.namespaces.iter().filter_map(Result::ok);
        known.map(|(key, value)| (key, text(&value.0))).collect()
    }

    /// Whether a namespace is among them.
    pub(super) fn has(&self, netns: NetNsCookie) -> bool {
        self.namespaces.get(&netns, 0).is_ok()
    }

    /// Remembers an interface. Where the map is full, the next life knows it by its index.
    pub(super) fn interface(&mut self, interface: &Remembered) {
        let key = DeviceKey {
            netns: interface.netns,
            device: interface.index,
            _pad: 0,
        };
        let value = InterfaceValue {
            name: bytes(&interface.name),
            is_gone: u32::from(interface.is_gone),
            predecessors: interface.predecessors,
        };
        let _ = self.interfaces.insert(key, value, 0);
    }

    /// Remembers a namespace. Where the map is full, the next life has no name for it.
    pub(super) fn namespace(&mut self, netns: NetNsCookie, name: &str) {
        let _ = self
            .namespaces
            .insert(netns, NamespaceValue(bytes(name)), 0);
    }
}

/// Makes a map that only collectors read, and pins it in a directory.
pub(super) fn make<K: Pod, V: Pod>(directory: &Path, name: &str, entries: u32) -> Result<()> {
    HashMap::<MapData, K, V>::create(entries, NO_PREALLOC)?.pin(directory.join(name))?;
    Ok(())
}

/// Opens a map that is pinned in a directory.
pub(super) fn open<K: Pod, V: Pod>(directory: &Path, name: &str) -> Result<HashMap<MapData, K, V>> {
    let map = MapData::from_pin(directory.join(name))
        .map(Map::HashMap)
        .with_context(|| format!("the pinned map {name} cannot be opened"))?;
    Ok(map.try_into()?)
}

/// The map of what is true of all lives, with the values that it has.
pub(super) struct StandingMap {
    map: Array<MapData, Standing>,
    pub(super) now: Standing,
}

impl StandingMap {
    /// Makes the map, and pins it with its content: who sees it, sees that.
    pub(super) fn make(now: Standing, path: &Path) -> Result<Self> {
        let mut map = Array::<MapData, Standing>::create(1, 0)?;
        map.set(0, now, 0)?;
        map.pin(path)?;
        Self::open(path)
    }

    /// Opens the map that is pinned here.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let data = MapData::from_pin(path)?;
        let map = Array::try_from(Map::Array(data))?;
        Ok(Self {
            now: map.get(&0, 0)?,
            map,
        })
    }

    /// Notes what the policy in a slot is made from.
    pub(super) fn note_policy(&mut self, slot: Slot, digest: u64) -> Result<()> {
        self.now.policies[slot as usize & 1] = digest;
        self.map
            .set(0, self.now, 0)
            .context("what the policy is made from cannot be noted")
    }
}

/// A text in so many bytes, cut at a character's end where it is longer; then zeros.
pub(super) fn bytes<const ROOM: usize>(text: &str) -> [u8; ROOM] {
    let mut bytes = [0; ROOM];
    let length = (0..=ROOM.min(text.len()))
        .rev()
        .find(|&length| text.is_char_boundary(length))
        .unwrap_or_default();
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were() {
        for name in ["", "eth0", "\u{fffd}\u{fffd}card"] {
            assert_eq!(text(&bytes::<48>(name)), name);
        }
        assert_eq!(text(&bytes::<4>("eth0")), "eth0");
        assert_eq!(text(&bytes::<4>("abc\u{fffd}")), "abc");
    }

    #[test]
    fn a_way_to_attach_has_one_number() {
        for mode in [Mode::Tcx, Mode::Clsact] {
            let standing = Standing {
                mode: number_of(mode),
                ..Standing::default()
            };
            assert_eq!(standing.mode(), mode);
        }
    }
}
