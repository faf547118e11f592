//! A BPF file system of one's own: what is pinned in it goes with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::name;

/// Where they are mounted.
pub(crate) const DIRECTORY: &str = "/run";

/// A mounted BPF file system, unmounted when dropped.
#[derive(Debug)]
pub struct BpfFs(PathBuf);

impl BpfFs {
    /// Mounts one; the name of its directory ends in `label`.
    pub fn new(label: &str) -> Result<Self> {
        let path = Path::new(DIRECTORY).join(name::unique(label));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let file_system = Self(path);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("bpf"),
            &file_system.0,
            Some("bpf"),
            flags,
            Some("mode=0700"),
        )
        .with_context(|| {
            format!(
                "cannot mount a BPF file system at {}",
                file_system.0.display()
            )
        })?;
        Ok(file_system)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Unmounts a file system, also while somebody has a file of it open, and removes the directory. One that was never mounted
/// has the directory alone.
pub(crate) fn remove(path: &Path) {
    let _unmounted = umount2(path, MntFlags::MNT_DETACH);
    let _gone = fs::remove_dir(path);
}
