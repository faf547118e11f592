//! A cgroup of one's own, so that an auditor's hooks see one laboratory's processes only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use procfs::process::Process;

use crate::name;

/// A cgroup below the root of the v2 hierarchy, removed when dropped with all below it. Its processes must have ended by then: a cgroup
/// that still holds one stays, for a later sweep.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    /// Its path within the hierarchy.
    name: String,
}

impl Cgroup {
    /// Makes a cgroup whose name ends in `label`.
    pub fn new(label: &str) -> Result<Self> {
        Self::make(&hierarchy()?, "", label)
    }

    /// Makes one below this one, which removes it as well when dropped.
    pub fn below(&self, label: &str) -> Result<Self> {
        Self::make(&self.path, &self.name, label)
    }

    fn make(parent: &Path, parents_name: &str, label: &str) -> Result<Self> {
        let name = name::unique(label);
        let path = parent.join(&name);
        fs::create_dir(&path)
            .with_context(|| format!("cannot make the cgroup {}", path.display()))?;
        let name = format!("{parents_name}/{name}");
        Ok(Self { path, name })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path within the hierarchy, as `/proc/PID/cgroup` shows it.
    pub fn name(&self) -> String {
        self.name.clone()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a cgroup, and first those below it, which a program made (`ip vrf exec` does). What is in use stays.
pub(crate) fn remove(path: &Path) {
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    below
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove(&entry.path()));
    let _gone = fs::remove_dir(path);
}

/// Where the v2 hierarchy is mounted: at `/sys/fs/cgroup`, or beside the first version.
pub fn hierarchy() -> Result<PathBuf> {
    let mounts = Process::myself()
        .and_then(|myself| myself.mountinfo())
        .context("cannot read the mounts of this process from /proc/self/mountinfo")?;
    let unified = mounts.into_iter().find(|mount| mount.fs_type == "cgroup2");
    unified
        .map(|mount| mount.mount_point)
        .context("no cgroup v2 hierarchy is mounted; mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`")
}
