//! What is known of what is learned beside the programs' own maps, for the instances to come: since when, and the names of programs and
//! cgroups that may be gone by then.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData},
};

use super::maps::{bytes, make, open};
use crate::host::attributes::text;

/// How many names of programs are kept, and as many of cgroups.
pub const MOST_NAMES: u32 = 4_096;
/// How long a name is that is kept, in bytes, so that an entry fills a slab of 512. A longer one is known to the collector that read it alone.
const ROOM: usize = 440;

const BEGAN: &str = "learned-began";
const PROGRAMS: &str = "learned-programs";
const CGROUPS: &str = "learned-cgroups";
/// The maps: what says since when is the first that is removed, so that it is never said of a table that is newer.
pub(super) const MAPS: [&str; 3] = [BEGAN, PROGRAMS, CGROUPS];

/// When it was begun to learn, on two clocks, and how often there had been no room by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearningBegan {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Duration,
    /// The wall clock.
    pub wall: SystemTime,
    /// What the counter of losses had then.
    pub not_learned: u64,
}

/// What distinguishes a program's file.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramFile {
    /// The inode number.
    pub inode: u64,
    /// The file system.
    pub device: u32,
    /// What distinguishes it from another that had its inode before.
    pub generation: u32,
}

/// [`LearningBegan`], as the map has it, in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy)]
struct BeganValue {
    monotonic: u64,
    wall: u64,
    not_learned: u64,
}

/// A name, then zeros.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct NameValue([u8; ROOM]);

// SAFETY: `repr(C)`, integers, without padding.
unsafe impl Pod for ProgramFile {}
// SAFETY: as above.
unsafe impl Pod for BeganValue {}
// SAFETY: as above.
unsafe impl Pod for NameValue {}

/// What is known of what is learned.
pub struct LearnedRecords {
    began: LearningBegan,
    programs: HashMap<MapData, ProgramFile, NameValue>,
    cgroups: HashMap<MapData, u64, NameValue>,
}

impl LearnedRecords {
    /// Opens what is pinned in a directory, or makes it for what is begun now.
    pub(super) fn at(directory: &Path, now: LearningBegan) -> Result<Self> {
        let is_missing = |name: &str| !directory.join(name).exists();
        if is_missing(PROGRAMS) {
            make::<ProgramFile, NameValue>(directory, PROGRAMS, MOST_NAMES)?;
        }
        if is_missing(CGROUPS) {
            make::<u64, NameValue>(directory, CGROUPS, MOST_NAMES)?;
        }
        if is_missing(BEGAN) {
            let mut map = Array::<MapData, BeganValue>::create(1, 0)?;
            map.set(0, now.value(), 0)?;
            // Whoever sees it sees what is in it.
            map.pin(directory.join(BEGAN))?;
        }
        let began = Array::try_from(Map::Array(MapData::from_pin(directory.join(BEGAN))?))?;
        let began: BeganValue = began.get(&0, 0)?;
        Ok(Self {
            began: began.into(),
            programs: open(directory, PROGRAMS)?,
            cgroups: open(directory, CGROUPS)?,
        })
    }

    /// Where it is pinned.
    pub(super) fn paths(directory: &Path) -> [PathBuf; 3] {
        MAPS.map(|name| directory.join(name))
    }

    /// When it was begun.
    pub fn began(&self) -> LearningBegan {
        self.began
    }

    /// The names of programs.
    pub fn programs(&self) -> Vec<(ProgramFile, String)> {
        let known = self.programs.iter().filter_map(Result::ok);
        known.map(|(file, name)| (file, text(&name.0))).collect()
    }

    /// The names of cgroups, by their ids.
    pub fn cgroups(&self) -> Vec<(u64, String)> {
        let known = self.cgroups.iter().filter_map(Result::ok);
        known.map(|(id, name)| (id, text(&name.0))).collect()
    }

    /// Keeps the name of a program. Where there is no room, the next instance looks at the process, if it is there still.
    pub fn keep_program(&mut self, file: ProgramFile, name: &str) {
        if let Some(value) = NameValue::of(name) {
            let _ = self.programs.insert(file, value, 0);
        }
    }

    /// Keeps the name of a cgroup; likewise.
    pub fn keep_cgroup(&mut self, id: u64, name: &str) {
        if let Some(value) = NameValue::of(name) {
            let _ = self.cgroups.insert(id, value, 0);
        }
    }
}

impl LearningBegan {
    fn value(self) -> BeganValue {
        let wall = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        BeganValue {
            monotonic: self.monotonic.as_nanos() as u64,
            wall: wall.as_nanos() as u64,
            not_learned: self.not_learned,
        }
    }
}

impl From<BeganValue> for LearningBegan {
    fn from(value: BeganValue) -> Self {
        Self {
            monotonic: Duration::from_nanos(value.monotonic),
            wall: UNIX_EPOCH + Duration::from_nanos(value.wall),
            not_learned: value.not_learned,
        }
    }
}

impl NameValue {
    /// Nothing of a name that is too long: a part of it would be another's.
    fn of(name: &str) -> Option<Self> {
        (name.len() < ROOM).then(|| Self(bytes(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_comes_back_as_it_was() {
        let began = LearningBegan {
            monotonic: Duration::from_nanos(7),
            wall: UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789),
            not_learned: 9,
        };
        assert_eq!(LearningBegan::from(began.value()), began);
    }

    #[test]
    fn a_name_is_kept_as_a_whole_or_not() {
        let name = "x".repeat(ROOM - 1);
        let kept = NameValue::of(&name).expect("it has room");
        assert_eq!(text(&kept.0), name);
        assert!(NameValue::of(&(name + "x")).is_none());
    }
}
