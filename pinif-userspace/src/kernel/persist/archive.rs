//! Archived counters: what was counted for interfaces whose indexes others have had since. The programs' counters go on under the
//! same keys, so that only this separates the one from the other.

use std::path::Path;

use anyhow::Result;
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use pinif_ebpf::{
    key::IfIndex,
    share,
    sighting::{CellKey, Count, FindingKey, FindingState},
};

use super::maps::{NameBytes, bytes, make, open};
use crate::host::attributes::text;

/// As many as the programs' own tables hold.
const FINDINGS: u32 = share::FINDINGS;
const CELLS: u32 = 16_384;

/// A finding whose interface is gone.
#[derive(Clone, Debug)]
pub struct ArchivedFinding {
    /// Its key.
    pub key: FindingKey,
    /// Its counter, its first packet and what it has seen.
    pub value: FindingState,
    /// How many interfaces had the index of its egress before it.
    pub predecessors: u32,
    /// What its interfaces were called.
    pub names: InterfaceNames,
}

/// What was counted in a cell until one of its interfaces was gone.
#[derive(Clone, Debug)]
pub struct ArchivedCell {
    /// Its key.
    pub key: CellKey,
    /// All that the counter had then.
    pub total: Count,
    /// What its interfaces were called.
    pub names: InterfaceNames,
}

/// What the interfaces of an archived counter were called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceNames {
    /// Where it left.
    pub egress: String,
    /// The bound device.
    pub bound: String,
}

impl InterfaceNames {
    /// The name of one of the two interfaces; nothing of another.
    pub fn of(&self, index: IfIndex, egress: IfIndex, bound: IfIndex) -> Option<&str> {
        if index == egress {
            Some(&self.egress)
        } else if index == bound {
            Some(&self.bound)
        } else {
            None
        }
    }
}

/// The key of an archived counter, and a number that distinguishes it from others with that key.
#[repr(C)]
#[derive(Clone, Copy)]
struct Numbered<K> {
    key: K,
    number: u32,
    _pad: u32,
}

/// An archived counter, with the names of its interfaces.
#[repr(C)]
#[derive(Clone, Copy)]
struct Named<V> {
    value: V,
    egress: NameBytes,
    bound: NameBytes,
}

// SAFETY: `repr(C)`; the key is a `Pod` of whole words, so that nothing is between it and the number.
unsafe impl Pod for Numbered<FindingKey> {}
// SAFETY: as above.
unsafe impl Pod for Numbered<CellKey> {}
// SAFETY: `repr(C)`; the value is a `Pod` of whole words, and bytes follow, whole words as well.
unsafe impl Pod for Named<FindingState> {}
// SAFETY: as above.
unsafe impl Pod for Named<Count> {}

const _: () = assert!(size_of::<Numbered<FindingKey>>() == size_of::<FindingKey>() + 8);
const _: () = assert!(size_of::<Numbered<CellKey>>() == size_of::<CellKey>() + 8);
const _: () = assert!(size_of::<Named<FindingState>>() == size_of::<FindingState>() + 96);
const _: () = assert!(size_of::<Named<Count>>() == size_of::<Count>() + 96);

/// All archived counters.
pub(super) struct ArchivedCounters {
    findings: HashMap<MapData, Numbered<FindingKey>, Named<FindingState>>,
    cells: HashMap<MapData, Numbered<CellKey>, Named<Count>>,
}

impl ArchivedCounters {
    /// Makes the maps and pins them in a directory.
    pub(super) fn make(directory: &Path) -> Result<()> {
        make::<Numbered<FindingKey>, Named<FindingState>>(directory, "findings", FINDINGS)?;
        make::<Numbered<CellKey>, Named<Count>>(directory, "cells", CELLS)
    }

    /// Opens the maps that are pinned in a directory.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        Ok(Self {
            findings: open(directory, "findings")?,
            cells: open(directory, "cells")?,
        })
    }

    pub(super) fn findings(&self) -> Vec<ArchivedFinding> {
        let archived = self.findings.iter().filter_map(Result::ok);
        archived
            .map(|(key, value)| ArchivedFinding {
                key: key.key,
                value: value.value,
                predecessors: key.number,
                names: value.names(),
            })
            .collect()
    }

    /// In the order in which they were archived.
    pub(super) fn cells(&self) -> Vec<ArchivedCell> {
        let archived = self.cells.iter().filter_map(Result::ok);
        let mut archived: Vec<_> = archived.collect();
        archived.sort_by_key(|(key, _)| key.number);
        let cell = |(key, value): (Numbered<CellKey>, Named<Count>)| ArchivedCell {
            key: key.key,
            total: value.value,
            names: value.names(),
        };
        archived.into_iter().map(cell).collect()
    }

    /// Archives a finding. Where the map is full, the next instance does not know of it.
    pub(super) fn archive_finding(&mut self, archived: &ArchivedFinding) {
        let key = Numbered {
            key: archived.key,
            number: archived.predecessors,
            _pad: 0,
        };
        let _ = self
            .findings
            .insert(key, Named::of(archived.value, &archived.names), 0);
    }

    /// Archives a cell; likewise.
    pub(super) fn archive_cell(&mut self, archived: &ArchivedCell) {
        let mut key = Numbered {
            key: archived.key,
            number: 0,
            _pad: 0,
        };
        while self.cells.get(&key, 0).is_ok() {
            key.number += 1;
        }
        let _ = self
            .cells
            .insert(key, Named::of(archived.total, &archived.names), 0);
    }
}

impl<V> Named<V> {
    fn of(value: V, names: &InterfaceNames) -> Self {
        Self {
            value,
            egress: bytes(&names.egress),
            bound: bytes(&names.bound),
        }
    }

    fn names(&self) -> InterfaceNames {
        InterfaceNames {
            egress: text(&self.egress),
            bound: text(&self.bound),
        }
    }
}
