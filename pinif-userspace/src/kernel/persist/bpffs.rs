//! The BPF file system that pins are in (bpf(2), `BPF_OBJ_PIN`): found, or mounted.

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};
use rustix::fs::{FlockOperation, flock};

/// Where it is mounted on every system that mounts it.
pub(super) const USUAL: &str = "/sys/fs/bpf";

/// Makes a directory, and those above it, in a BPF file system. At the usual place, one is mounted where there is none.
///
/// # Errors
///
/// When there is none, and none can be mounted that would outlive this process.
pub(super) fn make_directory(directory: &Path) -> Result<()> {
    if directory.starts_with(USUAL) && !is_one(Path::new(USUAL)) {
        mount_usual()?;
    }
    if !is_in_one(directory) {
        bail!(
            "{} is in no BPF file system; mount one with `mount -t bpf bpf {USUAL}`",
            directory.display()
        );
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("the directory {} cannot be made", directory.display()))
}

/// Whether the nearest directory that is there is in a BPF file system.
fn is_in_one(directory: &Path) -> bool {
    let nearest = directory.ancestors().find(|path| path.exists());
    nearest.is_some_and(is_one)
}

fn is_one(path: &Path) -> bool {
    statfs(path).is_ok_and(|status| status.filesystem_type() == BPF_FS_MAGIC)
}

fn mount_usual() -> Result<()> {
    let mend = format!("mount it with `mount -t bpf bpf {USUAL}`");
    let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    if mounts("self") != mounts("1") {
        // What is mounted here would be seen by this service alone, and be gone with it.
        bail!("no BPF file system is mounted at {USUAL}; {mend} outside of this mount namespace");
    }
    let below = File::open(USUAL).with_context(|| {
        format!("there is no directory {USUAL}; mount sysfs with `mount -t sysfs sysfs /sys`")
    })?;
    // Two that start at once would mount one over the other, and hide what the first has pinned.
    flock(&below, FlockOperation::LockExclusive)
        .with_context(|| format!("the directory {USUAL} cannot be locked"))?;
    if is_one(Path::new(USUAL)) {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), USUAL, Some("bpf"), flags, Some("mode=0700"))
        .with_context(|| format!("no BPF file system can be mounted at {USUAL}; {mend}"))
}
