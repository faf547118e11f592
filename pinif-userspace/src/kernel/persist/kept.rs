//! The maps that are pinned, by their numbers: where a pin was removed, the map is pinned again, for as long as anybody has it.

use std::{io, path::PathBuf};

use aya::maps::MapInfo;

use crate::kernel::syscall;

/// Pinned maps.
#[derive(Debug, Default)]
pub(super) struct KeptMaps(Vec<(PathBuf, u32)>);

impl KeptMaps {
    /// Those that are pinned here.
    pub(super) fn at(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let with_number = |path: PathBuf| {
            let id = MapInfo::from_pin(&path).ok()?.id();
            Some((path, id))
        };
        Self(paths.into_iter().filter_map(with_number).collect())
    }

    /// Those that are pinned here, too.
    pub(super) fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.0.extend(Self::at(paths).0);
    }

    /// Pins those again that are pinned no longer. `None` where all of them are.
    pub(super) fn pin_again(&self) -> Option<io::Result<()>> {
        let removed = self.0.iter().filter(|(path, _)| !path.exists());
        let again = removed.map(|(path, id)| syscall::pin(&syscall::map_of_id(*id)?, path));
        again.reduce(io::Result::and)
    }
}
