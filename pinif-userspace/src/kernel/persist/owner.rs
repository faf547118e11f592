//! Whose an entry program is: that of the auditor in whose maps it counts.

use std::{collections::BTreeSet, os::fd::AsFd};

use super::layout;
use crate::kernel::syscall::maps_of_program;

/// The numbers of an auditor's maps.
#[derive(Clone, Debug, Default)]
pub struct Owner(BTreeSet<u32>);

impl Owner {
    /// What is pinned in a directory.
    pub(super) fn of(directory: impl AsFd) -> Self {
        let directory = directory.as_fd();
        let builds = layout::builds(directory).unwrap_or_default();
        let maps = builds
            .iter()
            .flat_map(|build| layout::map_ids(directory, build));
        Self(maps.collect())
    }

    /// Whether nothing is known of it.
    pub(super) fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a program, by its number, counts in one of the maps. Where the kernel does not say so, it does not.
    pub(in crate::kernel) fn has(&self, program: u32) -> bool {
        !self.is_unknown() && maps_of_program(program).is_ok_and(|maps| self.has_one_of(&maps))
    }

    pub(super) fn has_one_of(&self, maps: &[u32]) -> bool {
        maps.iter().any(|map| self.0.contains(map))
    }
}
