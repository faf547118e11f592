//! The names that interfaces and namespaces have or had, for the instances to come.

use std::path::Path;

use anyhow::Result;
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    lower_devices::DeviceKey,
};

use super::maps::{NameBytes, bytes, make, open};
use crate::host::attributes::text;

/// How many interfaces and namespaces are remembered, those that are gone among them.
const INTERFACES: u32 = 131_072;
const NAMESPACES: u32 = 16_384;

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
unsafe impl Pod for InterfaceValue {}
// SAFETY: as above.
unsafe impl Pod for NamespaceValue {}

const _: () = assert!(size_of::<InterfaceValue>() == 56);

/// The names that interfaces and namespaces have or had.
pub(super) struct KnownNames {
    interfaces: HashMap<MapData, DeviceKey, InterfaceValue>,
    namespaces: HashMap<MapData, NetNsCookie, NamespaceValue>,
}

impl KnownNames {
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

    /// Remembers an interface. Where the map is full, the next instance knows it by its index.
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

    /// Remembers a namespace. Where the map is full, the next instance has no name for it.
    pub(super) fn namespace(&mut self, netns: NetNsCookie, name: &str) {
        let _ = self
            .namespaces
            .insert(netns, NamespaceValue(bytes(name)), 0);
    }
}
