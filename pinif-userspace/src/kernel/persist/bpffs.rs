//! The BPF file system that pins are in (bpf(2), `BPF_OBJ_PIN`): found, or mounted.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::fs::DirBuilderExt as _},
    path::{self, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, Statfs, fstatfs, statfs},
};
use rustix::fs::{FlockOperation, flock};

use crate::{host::netns::NetNs, text::escape::visible};

/// Where it is mounted on every system that mounts it.
pub(super) const USUAL: &str = "/sys/fs/bpf";

/// A directory in a BPF file system.
pub(super) struct Directory {
    /// Its path, from the root and without symbolic links.
    pub(super) path: PathBuf,
    /// Whether it was made now.
    pub(super) is_new: bool,
}

/// Makes a directory, and those above it, in a BPF file system. At the usual place, one is mounted where there is none.
///
/// # Errors
///
/// When there is none, and none can be mounted that would outlive this process.
pub(super) fn make_directory(directory: &Path) -> Result<Directory> {
    let shown = directory.display();
    let cannot_make = || format!("the directory {shown} cannot be made");
    let path = path::absolute(directory).with_context(cannot_make)?;
    if path.starts_with(USUAL) && !is_in_one(Path::new(USUAL)) {
        mount_usual()?;
    }
    if !is_in_one(&path) {
        bail!("{shown} is in no BPF file system; mount one with `mount -t bpf bpf {USUAL}`");
    }
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    if let Some(above) = path.parent() {
        builder
            .recursive(true)
            .create(above)
            .with_context(cannot_make)?;
    }
    let is_new = match builder.recursive(false).create(&path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error).with_context(cannot_make),
    };
    let path = fs::canonicalize(path).with_context(|| format!("{shown} cannot be opened"))?;
    Ok(Directory { path, is_new })
}

/// Whether the nearest directory that is there is in a BPF file system.
fn is_in_one(directory: &Path) -> bool {
    let nearest = directory.ancestors().find(|path| path.exists());
    nearest.is_some_and(|path| statfs(path).is_ok_and(is_bpf))
}

/// Whether an open directory is in a BPF file system.
pub(super) fn is_one(directory: impl AsFd) -> bool {
    fstatfs(directory).is_ok_and(is_bpf)
}

fn is_bpf(status: Statfs) -> bool {
    status.filesystem_type() == BPF_FS_MAGIC
}

/// The names in a directory; none of one that cannot be read.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Where `ip netns exec` made the mount namespace: how to audit from outside of it.
fn from_outside() -> String {
    match NetNs::current() {
        Ok(netns) if Path::new("/run/netns").join(&netns.name).exists() => format!(
            ", or run pinif there with `--netns {}` instead of within `ip netns exec`",
            visible(&netns.name)
        ),
        Ok(_) | Err(_) => String::new(),
    }
}

fn mount_usual() -> Result<()> {
    let fix = format!("mount it with `mount -t bpf bpf {USUAL}`");
    let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    if mounts("self") != mounts("1") {
        // What is mounted here would be seen by this service alone, and be gone with it.
        bail!(
            "no BPF file system is mounted at {USUAL}; {fix} outside of this mount namespace{}",
            from_outside()
        );
    }
    let below = File::open(USUAL).with_context(|| {
        format!("there is no directory {USUAL}; mount sysfs with `mount -t sysfs sysfs /sys`")
    })?;
    // Two that start at once would mount one over the other, and hide what the first has pinned.
    flock(&below, FlockOperation::LockExclusive)
        .with_context(|| format!("the directory {USUAL} cannot be locked"))?;
    if is_in_one(Path::new(USUAL)) {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), USUAL, Some("bpf"), flags, Some("mode=0700"))
        .with_context(|| format!("no BPF file system can be mounted at {USUAL}; {fix}"))
}
