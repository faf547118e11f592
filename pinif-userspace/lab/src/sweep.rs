//! Removes what laboratories of processes that have ended left behind.

use std::fs;
use std::path::{Path, PathBuf};

#[cfg(feature = "test-util")]
use crate::test_util::bpffs;
use crate::{cgroup, name, namespace};

/// Removes the namespaces and cgroups, and the tests' file systems, of processes that were killed before their guards could: their
/// names have the pid of a process that has ended. Links and routes go with their namespace. What cannot be removed is left to the next sweep.
pub fn sweep() {
    for path in orphans(Path::new(namespace::DIRECTORY)) {
        namespace::remove(&path);
    }
    for path in cgroup::hierarchy().iter().flat_map(|root| orphans(root)) {
        cgroup::remove(&path);
    }
    #[cfg(feature = "test-util")]
    for path in orphans(Path::new(bpffs::DIRECTORY)) {
        bpffs::remove(&path);
    }
}

fn orphans(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(name::is_orphan))
        .map(|entry| entry.path())
        .collect()
}
