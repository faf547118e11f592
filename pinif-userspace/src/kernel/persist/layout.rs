//! The names that pinif gives what it pins. Nothing else in a directory is pinif's, and nothing else is ever removed.
//!
//! Everything is reached from a directory's descriptor, and no symbolic link is followed: what was looked at is what is removed.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::maps::MapInfo;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat},
    io::Errno,
};

use super::{learned, link::NEW, map_layout, pin::Pin};
use crate::kernel::{direction::TcDirection, syscall};

/// Where an auditor is pinned, unless another directory is named.
pub const DIRECTORY: &str = "/sys/fs/bpf/pinif";
/// The map that is pinned last: without it, a start was cut short.
pub(super) const STATE: &str = "state";
/// The programs' maps.
pub(super) const MAPS: &str = "maps";
/// The links of the cgroup hooks.
pub(super) const CGROUP: &str = "cgroup";
/// The links of interfaces.
pub(super) const LINKS: &str = "links";
/// An empty directory: pinif made the auditor's directory, so that it is removed with the auditor.
pub(super) const OWN: &str = "own";
/// Maps that only collectors read.
pub(super) const COLLECTORS: [&str; 5] = ["interfaces", "namespaces", "findings", "cells", "seen"];
/// How the names of all programs begin.
const PROGRAM: &str = "pinif_";
/// How much of a map's name the kernel keeps (`BPF_OBJ_NAME_LEN`, with a zero at its end).
const KERNEL_NAME: usize = 15;

/// What was removed of a build, and what was not.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    /// Interfaces that had a link.
    pub(super) interfaces: usize,
    /// Links of cgroup hooks.
    pub(super) hooks: usize,
    /// The programs' maps.
    pub(super) maps: usize,
    /// Whether pinif made the directory that the build is in.
    pub(super) owned_directory: bool,
    /// What is not pinif's and stays, by its path below the directory.
    pub(super) left: Vec<String>,
}

/// The builds that have pinned something in a directory.
pub(super) fn builds(directory: impl AsFd) -> io::Result<Vec<String>> {
    let mut names = list(directory)?;
    names.retain(|(name, kind)| is_build(name) && kind.is_dir());
    Ok(names.into_iter().map(|(name, _)| name).collect())
}

/// What else is in it.
pub(super) fn others(directory: impl AsFd) -> io::Result<Vec<String>> {
    let mut names = list(directory)?;
    names.retain(|(name, kind)| !(is_build(name) && kind.is_dir()));
    Ok(names.into_iter().map(|(name, _)| name).collect())
}

/// Whether an auditor is complete in a directory: it counts.
pub(super) fn has_auditor(directory: impl AsFd) -> bool {
    let directory = directory.as_fd();
    let is_complete = |build: String| {
        let names = open(directory, &build).and_then(list);
        names.is_ok_and(|names| names.iter().any(|(name, _)| name == STATE))
    };
    builds(directory).is_ok_and(|builds| builds.into_iter().any(is_complete))
}

/// How many interfaces have a link of a build. One that is watched both ways has two.
pub(super) fn linked(directory: impl AsFd, build: &str) -> usize {
    let links = open(directory, build)
        .and_then(|build| open(build, LINKS))
        .and_then(list);
    links.map_or(0, |links| {
        links.iter().filter(|(name, _)| is_egress(name)).count()
    })
}

/// The numbers of the maps that a build's programs count in.
pub(super) fn map_ids(directory: impl AsFd, build: &str) -> Vec<u32> {
    let Ok(maps) = open(directory, build).and_then(|build| open(build, MAPS)) else {
        return Vec::new();
    };
    let names = list(&maps).unwrap_or_default();
    let maps = names.iter().filter_map(|(name, _)| map(&maps, name));
    maps.map(|map| map.id()).collect()
}

/// Removes what pinif has pinned as a build. First what is attached; then what says that the build is complete, so that one
/// that is removed in part is none to take over.
///
/// # Errors
///
/// When the kernel refuses.
pub(super) fn clear(directory: impl AsFd, build: &str) -> io::Result<Cleared> {
    let directory = directory.as_fd();
    let mut cleared = Cleared::default();
    let inside = match open(directory, build) {
        Ok(inside) => inside,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(cleared),
        Err(error) => return Err(error),
    };
    let links = part(&inside, LINKS, |links, name| {
        Pin::of(name).is_some() && detach(links, name)
    })?;
    cleared.interfaces = links.removed.iter().filter(|name| is_egress(name)).count();
    let hooks = part(&inside, CGROUP, |hooks, name| {
        name.starts_with(PROGRAM) && detach(hooks, name)
    })?;
    cleared.hooks = hooks
        .removed
        .iter()
        .filter(|name| !name.ends_with(NEW))
        .count();
    let pins = list(&inside)?;
    let collectors = COLLECTORS.into_iter().chain(learned::MAPS);
    for name in [STATE].into_iter().chain(collectors) {
        if pins.iter().any(|(pin, kind)| pin == name && kind.is_file()) {
            remove_pin(&inside, name)?;
        }
    }
    let maps = part(&inside, MAPS, |maps, name| map(maps, name).is_some())?;
    cleared.maps = maps.removed.len();
    cleared.owned_directory = remove_directory(&inside, OWN)? == Gone::Removed;
    for (part, outcome) in [(LINKS, links), (CGROUP, hooks), (MAPS, maps)] {
        let left = outcome.left.iter();
        cleared
            .left
            .extend(left.map(|name| format!("{build}/{part}/{name}")));
    }
    let parts = [LINKS, CGROUP, MAPS];
    for (name, kind) in list(&inside)? {
        if !(kind.is_dir() && parts.contains(&name.as_str())) {
            cleared.left.push(format!("{build}/{name}"));
        }
    }
    drop(inside);
    if remove_directory(directory, build)? == Gone::Stays && cleared.left.is_empty() {
        cleared.left.push(build.to_owned());
    }
    Ok(cleared)
}

/// Removes the pins of a build's links that a start which was cut short has left beside those that they were to replace.
pub(super) fn clear_unfinished(directory: impl AsFd, build: &str) -> io::Result<()> {
    let cgroup = open(directory, build).and_then(|build| open(build, CGROUP))?;
    for (name, _) in list(&cgroup)? {
        if name.starts_with(PROGRAM) && name.ends_with(NEW) {
            remove_pin(&cgroup, &name)?;
        }
    }
    Ok(())
}

/// What came of removing the pins of one of a build's directories.
#[derive(Default)]
struct Part {
    removed: Vec<String>,
    left: Vec<String>,
}

fn part(build: &OwnedFd, name: &str, is_ours: impl Fn(&OwnedFd, &str) -> bool) -> io::Result<Part> {
    let mut part = Part::default();
    let inside = match open(build, name) {
        Ok(inside) => inside,
        // What is no directory is not pinif's, and is listed with the rest of the build.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) || error.raw_os_error() == Some(libc::ELOOP) =>
        {
            return Ok(part);
        }
        Err(error) => return Err(error),
    };
    for (name, kind) in list(&inside)? {
        if kind.is_file() && is_ours(&inside, &name) && remove_pin(&inside, &name)? {
            part.removed.push(name);
        } else {
            part.left.push(name);
        }
    }
    remove_directory(build, name)?;
    Ok(part)
}

/// The path of what is in an open directory, for bpf(2), which takes no descriptor of a directory before Linux 6.5.
pub(super) fn path_of(directory: impl AsFd, name: &str) -> PathBuf {
    let directory = directory.as_fd().as_raw_fd();
    PathBuf::from(format!("/proc/self/fd/{directory}/{name}"))
}

/// The map that is pinned under its own name.
fn map(directory: &OwnedFd, name: &str) -> Option<MapInfo> {
    let map = MapInfo::from_pin(path_of(directory, name)).ok()?;
    let kept = name.get(..name.len().min(KERNEL_NAME))?;
    (map.name_as_str() == Some(kept)).then_some(map)
}

/// Detaches a pinned link, at once: that it is unpinned has it detached some time later. Whether it is a link.
fn detach(directory: &OwnedFd, name: &str) -> bool {
    match syscall::pinned(&path_of(directory, name)).map(|link| syscall::detach(&link)) {
        // It is detached already, since its interface or cgroup is gone.
        Ok(Err(error)) => error.raw_os_error() != Some(libc::EINVAL),
        outcome => outcome.is_ok(),
    }
}

fn is_egress(link: &str) -> bool {
    Pin::of(link).is_some_and(|pin| pin.direction == TcDirection::Egress)
}

/// Removes the pins of what a build has learned.
pub(super) fn clear_learned(directory: impl AsFd, build: &str) -> io::Result<()> {
    let inside = open(directory, build)?;
    for name in learned::MAPS {
        remove_pin(&inside, name)?;
    }
    let maps = open(&inside, MAPS)?;
    for name in map_layout::LEARNED {
        remove_pin(&maps, name)?;
    }
    Ok(())
}

/// Whether a name is one of those that [`super::map_layout::tag`] gives.
fn is_build(name: &str) -> bool {
    name.len() == 16
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Opens a directory of a directory; not what a symbolic link leads to.
pub(super) fn open(directory: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(directory, name, flags, Mode::empty())?)
}

/// What is in a directory. A name that is no text is shown as one that is, and can be none of pinif's.
pub(super) fn list(directory: impl AsFd) -> io::Result<Vec<(String, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push((name, entry.file_type()));
        }
    }
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

/// Removes a pin. Whether it was there.
fn remove_pin(directory: impl AsFd, name: &str) -> io::Result<bool> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        // A directory of that name is not pinif's.
        Err(Errno::NOENT | Errno::ISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[derive(PartialEq, Eq)]
enum Gone {
    Removed,
    WasNotThere,
    /// Something is in it, or mounted on it, or it is no directory.
    Stays,
}

fn remove_directory(directory: impl AsFd, name: &str) -> io::Result<Gone> {
    match unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(Gone::Removed),
        Err(Errno::NOENT) => Ok(Gone::WasNotThere),
        Err(Errno::NOTEMPTY | Errno::BUSY | Errno::NOTDIR) => Ok(Gone::Stays),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_sixteen_digits() {
        assert!(is_build("0123456789abcdef"));
        for name in [
            "",
            "ip",
            "0123456789ABCDEF",
            "0123456789abcde",
            "0123456789abcdef0",
        ] {
            assert!(!is_build(name), "{name}");
        }
    }
}
