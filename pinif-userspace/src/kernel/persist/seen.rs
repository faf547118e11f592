//! When findings were last seen, for the instances to come: the programs count, and note no time.

use std::{path::Path, time::Duration};

use anyhow::Result;
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use pinif_ebpf::share;

use super::maps::{make, open};

/// As many as there are counters, and as many again that are archived.
const FINDINGS: u32 = 2 * share::FINDINGS;

/// When a finding was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What its counter had then.
    pub packets: u64,
    /// When it was found to have that, of `CLOCK_MONOTONIC`.
    pub at: Duration,
}

/// The same, as the map has it.
#[repr(C)]
#[derive(Clone, Copy)]
struct SeenValue {
    packets: u64,
    /// In nanoseconds.
    at: u64,
}

// SAFETY: `repr(C)`, integers, without padding.
unsafe impl Pod for SeenValue {}

/// When each finding was last seen, by its id.
pub(super) struct SeenFindings(HashMap<MapData, u64, SeenValue>);

impl SeenFindings {
    /// Makes the map and pins it in a directory.
    pub(super) fn make(directory: &Path) -> Result<()> {
        make::<u64, SeenValue>(directory, "seen", FINDINGS)
    }

    /// Opens the map that is pinned in a directory.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        Ok(Self(open(directory, "seen")?))
    }

    pub(super) fn get(&self, finding: u64) -> Option<Seen> {
        let SeenValue { packets, at } = self.0.get(&finding, 0).ok()?;
        let at = Duration::from_nanos(at);
        Some(Seen { packets, at })
    }

    /// Remembers it. Where the map is full, the next instance takes the finding to be seen when it reads its counter.
    pub(super) fn remember(&mut self, finding: u64, seen: Seen) {
        let value = SeenValue {
            packets: seen.packets,
            at: seen.at.as_nanos() as u64,
        };
        let _ = self.0.insert(finding, value, 0);
    }
}
