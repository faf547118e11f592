//! Cgroups of the second version: where they are, and their ids (cgroups(7)).

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::Context;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use procfs::process::{MountInfos, Process};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// Where the cgroup v2 hierarchy is mounted; on a hybrid system, beside the v1 hierarchies.
///
/// # Errors
/// Where it is not.
pub fn cgroup2_root() -> anyhow::Result<PathBuf> {
    match mounted()? {
        Some(root) => Ok(root),
        None => mounted_nowhere().context(
            "cgroup v2 is not mounted; mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified` (make the directory first)",
        ),
    }
}

/// Where it is mounted for others too.
fn mounted() -> anyhow::Result<Option<PathBuf>> {
    static LAST: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // All mounts are read only where it is not there any more: each finding asks.
    if !last.as_deref().is_some_and(is_of_cgroups) {
        let mounts = Process::myself()
            .and_then(|process| process.mountinfo())
            .context("cannot read /proc/self/mountinfo")?;
        *last = root_of(mounts);
    }
    Ok(last.clone())
}

/// Whether a path is in a cgroup hierarchy of the second version.
fn is_of_cgroups(path: &Path) -> bool {
    statfs(path).is_ok_and(|status| status.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// The hierarchy as this process alone has it, on no path of any other (`fsopen(2)`, `fsmount(2)`): `ip netns exec` hides the
/// mounted one under a sysfs of its own (ip-netns(8)). It goes with the process.
fn mounted_nowhere() -> Option<PathBuf> {
    static ROOT: OnceLock<Option<OwnedFd>> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
        fsconfig_create(&context).ok()?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).ok()
    });
    let root = root.as_ref()?.as_raw_fd();
    Some(PathBuf::from(format!("/proc/self/fd/{root}")))
}

/// Where the hierarchy is among some mounts.
fn root_of(mounts: MountInfos) -> Option<PathBuf> {
    let mut found: Vec<_> = mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "cgroup2")
        .collect();
    // A mount of a part of the hierarchy has a root of its own.
    found.sort_by_key(|mount| mount.root != "/");
    Some(found.into_iter().next()?.mount_point)
}

/// The directory of a cgroup of the v2 hierarchy, wherever that is mounted. It is named by that, or from the hierarchy's root, as a process's
/// is in /proc/PID/cgroup.
///
/// # Errors
/// Where there is none, in a sentence with the fix.
pub fn directory(named: &Path) -> anyhow::Result<PathBuf> {
    let shown = named.display();
    let from_root = || cgroup2_root().map(|root| below(&root, named)).ok();
    let path = match named.exists() {
        true => named.to_owned(),
        false => from_root().unwrap_or_else(|| named.to_owned()),
    };
    let fix = match (cgroup2_root(), mounted()) {
        (Ok(_), Ok(Some(root))) => format!(
            "name a directory below {}, where cgroup v2 is mounted",
            root.display()
        ),
        // A path of this process alone is no help.
        (Ok(_), _) => "cgroup v2 is not mounted here, as within `ip netns exec`: start pinif outside of that, with --netns NAME \
                       for the network namespace"
            .to_owned(),
        (Err(error), _) => format!("{error:#}"),
    };
    let metadata = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            anyhow::bail!("there is no cgroup {shown}; {fix}")
        }
        other => other.with_context(|| format!("the cgroup {shown} cannot be looked at"))?,
    };
    let filesystem = statfs(&path)
        .with_context(|| format!("the cgroup {shown} cannot be looked at"))?
        .filesystem_type();
    if !metadata.is_dir() || filesystem != CGROUP2_SUPER_MAGIC {
        anyhow::bail!("{shown} is no cgroup of the second version; {fix}");
    }
    Ok(path)
}

/// The id of the cgroup at a path, either in the file system or from the root of the v2 hierarchy, as the kernel's
/// `cgroup_id()` and `bpf_skb_cgroup_id()` give it: the inode of its directory.
///
/// # Errors
/// Where there is no such cgroup.
pub fn cgroup_id(path: &Path) -> io::Result<u64> {
    let root = cgroup2_root().map_err(io::Error::other)?;
    let metadata = fs::metadata(below(&root, path))?;
    if metadata.is_dir() {
        Ok(metadata.ino())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    if path.starts_with(root) {
        path.to_owned()
    } else {
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Whether a cgroup is the root of the hierarchy, in which all are: it alone has no type (Documentation/admin-guide/cgroup-v2.rst).
pub fn is_root(path: &Path) -> bool {
    path.join("cgroup.procs").exists() && !path.join("cgroup.type").exists()
}

/// The path of the cgroup with this id, from the root of the v2 hierarchy; none where it is gone.
pub fn cgroup_path(id: u64) -> Option<String> {
    let root = cgroup2_root().ok()?;
    let path = match open_cgroup(&root, id) {
        Ok(directory) => fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?,
        Err(error) if error.raw_os_error() == Some(libc::ESTALE) => return None,
        // open_by_handle_at(2) wants CAP_DAC_READ_SEARCH.
        Err(_) => walk(&root, id)?,
    };
    let below = path.strip_prefix(&root).ok()?;
    Some(format!("/{}", below.to_string_lossy()))
}

/// `struct file_handle` of kernfs: the id is all there is (`kernfs_fh_to_dentry` in fs/kernfs/mount.c).
#[repr(C)]
struct KernfsHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

/// `FILEID_KERNFS` of linux/exportfs.h.
const FILEID_KERNFS: libc::c_int = 0xfe;

fn open_cgroup(root: &Path, id: u64) -> io::Result<OwnedFd> {
    let mount = File::open(root)?;
    let mut handle = KernfsHandle {
        bytes: 8,
        kind: FILEID_KERNFS,
        id: id.to_ne_bytes(),
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the handle has the layout of `struct file_handle` followed by the eight bytes that it announces, and
    // lives through the call, as does the descriptor.
    let descriptor = unsafe {
        libc::open_by_handle_at(
            mount.as_raw_fd(),
            (&raw mut handle).cast::<libc::file_handle>(),
            flags,
        )
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn walk(directory: &Path, id: u64) -> Option<PathBuf> {
    if fs::metadata(directory).ok()?.ino() == id {
        return Some(directory.to_owned());
    }
    fs::read_dir(directory)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .find_map(|entry| walk(&entry.path(), id))
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    struct Cgroup(PathBuf);

    impl Cgroup {
        fn new(name: &str) -> Self {
            let path = cgroup2_root()
                .expect("cgroup v2")
                .join(format!("pinif-{name}-{}", process::id()));
            fs::create_dir(&path).expect("a cgroup");
            Self(path)
        }
    }

    impl Drop for Cgroup {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    #[test]
    fn a_cgroup_is_found_by_its_id_and_by_its_path() {
        let cgroup = Cgroup::new("id");
        let root = cgroup2_root().expect("cgroup v2");
        let below = cgroup.0.strip_prefix(&root).expect("below the root");
        let path = format!("/{}", below.display());
        let id = cgroup_id(&cgroup.0).expect("an id");
        assert_eq!(cgroup_id(Path::new(&path)).expect("an id"), id);
        assert_eq!(cgroup_path(id).as_deref(), Some(path.as_str()));
        assert_eq!(walk(&root, id).as_deref(), Some(cgroup.0.as_path()));
        assert_eq!(
            cgroup_path(cgroup_id(&root).expect("the root's")).as_deref(),
            Some("/")
        );
        drop(cgroup);
        assert_eq!(cgroup_path(id), None);
        assert!(cgroup_id(Path::new(&path)).is_err());
    }
}
