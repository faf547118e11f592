//! The network namespaces that there are, and what keeps each alive: a process in it, or a mount that leads to it
//! (namespaces(7)).

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use crate::host::{
    inode,
    netns::{
        HOST, NetNs, NetNsError, anonymous,
        names::{INITIAL_INODE, NAMED, container},
    },
};

/// The network namespaces that there are now, by inode: those that somebody is in, or that are mounted somewhere.
#[derive(Debug, Default)]
pub struct Census(BTreeMap<u64, Place>);

/// What leads to a namespace.
#[derive(Debug, Default)]
struct Place {
    mounts: Vec<PathBuf>,
    /// The process in it with the lowest number, mostly the one that it was made for.
    process: Option<u32>,
}

impl Census {
    /// Looks at all processes and mounts, and at some threads: one may be where its process is not.
    ///
    /// Namespaces that only a descriptor, a socket or a thread that is not among `threads` keeps are not found.
    ///
    /// # Errors
    /// Where /proc cannot be read.
    pub fn take(threads: &[u32]) -> io::Result<Self> {
        let mut census = Self::default();
        for (inode, mount) in mounts()? {
            census.0.entry(inode).or_default().mounts.push(mount);
        }
        for process in processes()?.into_iter().chain(threads.iter().copied()) {
            if let Some(inode) = namespace_of(process) {
                census
                    .0
                    .entry(inode)
                    .or_default()
                    .process
                    .get_or_insert(process);
            }
        }
        Ok(census)
    }

    /// Whether a task is, or was, in a namespace that `wanted` says.
    pub fn is_in(task: u32, wanted: impl Fn(u64) -> bool) -> bool {
        namespace_of(task).is_some_and(wanted)
    }

    /// All, by inode.
    pub fn inodes(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }

    /// Whether somebody is in the namespace with this inode, or a mount leads to it.
    pub fn has(&self, inode: u64) -> bool {
        self.0.contains_key(&inode)
    }

    /// The process that alone keeps the namespace with this inode; none where a mount leads to it too.
    pub(super) fn only_process(&self, inode: u64) -> Option<u32> {
        let place = self.0.get(&inode)?;
        place.process.filter(|_| place.mounts.is_empty())
    }

    /// What a person calls it: its name in /run/netns, `host`, the beginning of its container's id, or `net:[INODE]`.
    pub fn name(&self, inode: u64) -> String {
        let Some(place) = self.0.get(&inode) else {
            return anonymous(inode);
        };
        let mut names: Vec<_> = place
            .mounts
            .iter()
            .filter(|mount| mount.parent() == Some(Path::new(NAMED)))
            .filter_map(|mount| mount.file_name()?.to_str())
            .collect();
        names.sort_unstable();
        if let Some(name) = names.first() {
            return (*name).to_owned();
        }
        if inode == INITIAL_INODE || place.process == Some(1) {
            return HOST.to_owned();
        }
        place
            .process
            .and_then(container)
            .unwrap_or_else(|| anonymous(inode))
    }

    /// The files that the namespace with this inode is mounted on, and the process in it with the lowest number.
    pub(super) fn leads_to(&self, inode: u64) -> (&[PathBuf], Option<u32>) {
        let place = self.0.get(&inode);
        place.map_or((&[], None), |place| (&place.mounts, place.process))
    }

    /// Opens a namespace by what leads to it. None where it has gone in the meantime.
    ///
    /// # Errors
    /// Where it may not be entered.
    pub fn open(&self, inode: u64) -> Result<Option<NetNs>, NetNsError> {
        let Some(place) = self.0.get(&inode) else {
            return Ok(None);
        };
        let process = place.process.map(file_of);
        for path in process.iter().chain(&place.mounts) {
            match NetNs::at(path, self.name(inode)) {
                Ok(netns) if netns.inode == inode => return Ok(Some(netns)),
                // The process has ended or moved, or something else was mounted over it.
                Ok(_) | Err(NetNsError::Unknown { .. } | NetNsError::NotANamespace(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// The mounts of network namespaces, each with the namespace's inode.
fn mounts() -> io::Result<Vec<(u64, PathBuf)>> {
    let mounts = procfs::process::Process::myself()
        .and_then(|process| process.mountinfo())
        .map_err(io::Error::other)?;
    Ok(mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "nsfs")
        .filter_map(|mount| {
            Some((
                inode::in_link(&mount.root, "net")?,
                unescaped(&mount.mount_point),
            ))
        })
        .collect())
}

/// A path as it is: the kernel writes spaces, tabs, line feeds and backslashes as three octal digits (`mangle`).
fn unescaped(path: &Path) -> PathBuf {
    let text = path.as_os_str().as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| byte == b'\\');
        let value = digits.and_then(|digits| str::from_utf8(digits).ok());
        let value = value.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(value.unwrap_or(byte));
        rest = value.map_or(after, |_| &after[3..]);
    }
    OsString::from_vec(bytes).into()
}

/// The numbers of all processes, in their order.
fn processes() -> io::Result<Vec<u32>> {
    let mut processes: Vec<u32> = fs::read_dir("/proc")?
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    processes.sort_unstable();
    Ok(processes)
}

fn file_of(task: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{task}/ns/net"))
}

/// The inode of a task's network namespace. None where it has ended, or may not be looked at (ptrace(2)).
pub(super) fn namespace_of(task: u32) -> Option<u64> {
    inode::in_link(fs::read_link(file_of(task)).ok()?.to_str()?, "net")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_without_a_name_is_shown_as_the_kernel_writes_it() {
        assert_eq!(
            inode::in_link(&anonymous(4_026_531_840), "net"),
            Some(4_026_531_840),
            "the same by both"
        );
    }

    #[test]
    fn this_process_keeps_its_namespace() {
        let current = NetNs::current().expect("current");
        let census = Census::take(&[]).expect("a census");
        assert!(census.has(current.inode));
        assert_eq!(census.name(current.inode), current.name);
        assert!(!census.has(1));
        assert_eq!(census.name(1), "net:[1]");
        assert!(census.open(1).expect("no error").is_none());
    }
}
