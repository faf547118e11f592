//! Where auditors are pinned: in any BPF file system that is mounted, in this mount namespace or another process's.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::sys::stat::fstat;
use procfs::process::{MountInfo, Process, all_processes};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::{bpffs, layout};
use crate::text::shell::word;

/// How deep a directory is looked for below a mount point.
const DEPTH: usize = 8;

/// A directory in which an auditor is pinned.
#[derive(Debug)]
pub struct Found {
    /// The directory, as its mount namespace has it.
    pub directory: PathBuf,
    /// A process of that mount namespace, where it is not this one.
    pub process: Option<i32>,
    pub(super) open: OwnedFd,
}

impl Found {
    /// How it is ended: a line of a shell. Whoever mounts a BPF file system in a namespace of his own chooses the directory's name.
    pub fn command(&self) -> String {
        let directory = format!("--persist={}", self.directory.display());
        let detach = format!("pinif detach {}", word(&directory));
        match self.process {
            None => detach,
            Some(process) => format!("nsenter --mount --target {process} {detach}"),
        }
    }
}

/// Looks for every auditor that is pinned somewhere. Those of this mount namespace come first. Other mount namespaces are looked
/// into as far as the privileges allow.
///
/// # Errors
///
/// When the mounts of this process cannot be read from /proc.
pub fn find() -> Result<Vec<Found>> {
    let mut search = Search::default();
    let own = Process::myself()
        .and_then(|own| Ok((mount_namespace(&own), own.mountinfo()?)))
        .context("/proc/self/mountinfo cannot be read")?;
    let (namespace, mounts) = own;
    let mut namespaces = BTreeSet::from_iter(namespace);
    search.mounts(Path::new("/"), None, mounts);
    for process in all_processes().into_iter().flatten().flatten() {
        let Some(namespace) = mount_namespace(&process) else {
            continue;
        };
        if namespaces.insert(namespace)
            && let Ok(mounts) = process.mountinfo()
        {
            let root = format!("/proc/{}/root", process.pid);
            search.mounts(Path::new(&root), Some(process.pid), mounts);
        }
    }
    Ok(search.found)
}

/// The mount namespace of a process, by its inode.
fn mount_namespace(process: &Process) -> Option<u64> {
    let path = format!("/proc/{}/ns/mnt", process.pid);
    rustix::fs::stat(path)
        .ok()
        .map(|namespace| namespace.st_ino)
}

#[derive(Default)]
struct Search {
    /// The directories that were looked into, by device and inode: a file system may be mounted in many places.
    seen: BTreeSet<(u64, u64)>,
    found: Vec<Found>,
}

impl Search {
    /// Looks into the BPF file systems that are mounted below a root directory.
    fn mounts(
        &mut self,
        root: &Path,
        process: Option<i32>,
        mounts: impl IntoIterator<Item = MountInfo>,
    ) {
        let mut mounts: Vec<_> = mounts
            .into_iter()
            .filter(|mount| mount.fs_type == "bpf")
            .collect();
        // A part of a file system that is mounted for itself has a longer path elsewhere.
        mounts.sort_by_key(|mount| mount.root != "/");
        let Ok(root) = File::open(root) else {
            return;
        };
        for mount in mounts {
            // Another may be mounted over it.
            if let Ok(top) = below(&root, &mount.mount_point)
                && bpffs::is_one(&top)
            {
                self.directory(top, &mount.mount_point, process, DEPTH);
            }
        }
    }

    fn directory(&mut self, open: OwnedFd, path: &Path, process: Option<i32>, depth: usize) {
        let is_new = fstat(&open).is_ok_and(|it| self.seen.insert((it.st_dev, it.st_ino)));
        if !is_new {
            return;
        }
        if let (Some(depth), Ok(names)) = (depth.checked_sub(1), layout::list(&open)) {
            for (name, kind) in names {
                if kind.is_dir()
                    && let Ok(inside) = layout::open(&open, &name)
                {
                    self.directory(inside, &path.join(name), process, depth);
                }
            }
        }
        if layout::has_auditor(&open) {
            self.found.push(Found {
                directory: path.to_owned(),
                process,
                open,
            });
        }
    }
}

/// Opens a directory below a root directory, as a process sees it whose root that is.
fn below(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat2(
        root,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_the_directory_and_does_nothing_else() {
        let command = |directory: &str, process| {
            let open = File::open("/").expect("a directory").into();
            let directory = directory.into();
            Found {
                directory,
                process,
                open,
            }
            .command()
        };
        assert_eq!(
            command("/sys/fs/bpf/pinif", None),
            "pinif detach --persist=/sys/fs/bpf/pinif"
        );
        assert_eq!(
            command("/tmp/a b;$(reboot)", Some(7)),
            "nsenter --mount --target 7 pinif detach '--persist=/tmp/a b;$(reboot)'"
        );
    }
}
