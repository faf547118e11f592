//! What is true of all instances of a persistent auditor.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{Array, Map, MapData},
};
use pinif_ebpf::policy::Slot;

use crate::kernel::{clock::monotonic, mode::Mode};

/// What is true of all instances.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PersistedState {
    /// When the first began, in nanoseconds of `CLOCK_MONOTONIC`.
    started: u64,
    /// What the policy in each slot was made from.
    policies: [u64; 2],
    /// What distinguishes this auditor's marks on packets from others'.
    pub(super) secret: u32,
    /// How it is attached: 0 by TCX, 1 by clsact.
    mode: u32,
}

// SAFETY: `repr(C)`, integers, without padding.
unsafe impl Pod for PersistedState {}

const _: () = assert!(size_of::<PersistedState>() == 32);

impl PersistedState {
    /// That of an auditor which begins now.
    pub(super) fn new(mode: Mode, secret: u32) -> Self {
        Self {
            started: monotonic().as_nanos() as u64,
            policies: [0; 2],
            secret,
            mode: match mode {
                Mode::Tcx => 0,
                Mode::Clsact => 1,
            },
        }
    }

    /// When the first instance began, on `CLOCK_MONOTONIC`.
    pub(super) const fn began(&self) -> Duration {
        Duration::from_nanos(self.started)
    }

    /// How long ago the first instance began.
    pub(super) fn age(&self) -> Duration {
        monotonic().saturating_sub(self.began())
    }

    /// How it is attached.
    pub(super) const fn mode(&self) -> Mode {
        match self.mode {
            0 => Mode::Tcx,
            _ => Mode::Clsact,
        }
    }

    /// Whether the policy in a slot was made from what has this digest.
    pub(super) const fn has_policy(&self, slot: Slot, digest: u64) -> bool {
        self.policies[slot as usize & 1] == digest
    }
}

/// The map that holds it, with the values that it has.
pub(super) struct StateMap {
    map: Array<MapData, PersistedState>,
    pub(super) now: PersistedState,
}

impl StateMap {
    /// Makes the map, and pins it with its content: who sees it, sees that.
    pub(super) fn make(now: PersistedState, path: &Path) -> Result<Self> {
        let mut map = Array::<MapData, PersistedState>::create(1, 0)?;
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

    /// Writes what the policy in a slot is made from.
    pub(super) fn write_policy(&mut self, slot: Slot, digest: u64) -> Result<()> {
        self.now.policies[slot as usize & 1] = digest;
        self.map
            .set(0, self.now, 0)
            .context("what the policy is made from cannot be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_comes_back_as_it_was() {
        for mode in [Mode::Tcx, Mode::Clsact] {
            assert_eq!(PersistedState::new(mode, 0).mode(), mode);
        }
    }
}
