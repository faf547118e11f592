//! Ending it: `pinif detach`; and what `pinif doctor` tells of it.

use std::{collections::BTreeSet, fs, io, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};
use nix::net::if_::if_nameindex;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    DIRECTORY, Pin, builds, entries, lock,
    lock::Locked,
    standing::{Memory, StandingMap},
};
use crate::{
    host::namespaces::Census,
    kernel::{direction::Direction, filters},
};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Links and filters of interfaces.
    pub interfaces: usize,
    /// Links of cgroup hooks.
    pub hooks: usize,
    /// Maps.
    pub maps: usize,
}

impl Removed {
    /// Whether there was anything.
    pub fn is_anything(&self) -> bool {
        *self != Self::default()
    }
}

/// What there is of a persistent auditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The process of the collector, if one lives.
    pub attended: Option<u32>,
    /// To how many interfaces it is attached by links; filters of clsact are not counted.
    pub interfaces: usize,
    /// How long ago the first collector began.
    pub age: Option<Duration>,
}

/// That another collector lives.
pub(super) fn attended(directory: &Path, holder: Option<u32>) -> String {
    let who = match holder {
        Some(pid) => format!("another collector (process {pid})"),
        None => "another collector".to_owned(),
    };
    format!(
        "{who} attends to what is pinned in {}; stop it first, as by `systemctl stop pinif`",
        directory.display()
    )
}

/// What there is in a directory; nothing, if there is nothing.
pub fn state(directory: &Path) -> Option<State> {
    let build = directory.join(builds(directory).first()?);
    let standing = StandingMap::open(&build.join("standing")).ok();
    Some(State {
        attended: lock::holder_of(directory),
        interfaces: linked(&build),
        age: standing.map(|standing| standing.now.age()),
    })
}

/// Detaches what a persistent auditor of any build has left attached, and removes its maps.
///
/// # Errors
///
/// When a collector lives, or the kernel refuses.
pub fn remove(directory: &Path) -> Result<Removed> {
    let mut removed = Removed::default();
    // Held to the end, so that no collector takes over what is being removed.
    let _lock = match lock::lock(directory) {
        Ok(Locked::Ours(lock)) => Some(lock),
        Ok(Locked::Anothers(holder)) => bail!("{}", attended(directory, holder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| {
                format!("the directory {} cannot be locked", directory.display())
            });
        }
    };
    let mut namespaces = BTreeSet::new();
    for build in builds(directory) {
        let build = directory.join(build);
        if let Ok(memory) = Memory::open(&build) {
            namespaces.extend(memory.namespaces().into_iter().map(|(netns, _)| netns));
        }
        removed.interfaces += linked(&build);
        removed.hooks += entries(&build.join("cgroup")).len();
        removed.maps += entries(&build.join("maps")).len();
        for part in ["links", "cgroup", ""] {
            match fs::remove_dir_all(build.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| {
                        format!("{} cannot be removed", build.join(part).display())
                    });
                }
                _ => {}
            }
        }
    }
    // Filters stay also where the file system was unmounted that told whose they are.
    let all = directory == Path::new(DIRECTORY);
    removed.interfaces += filters(|netns| all || namespaces.contains(&netns));
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", directory.display()))
        }
        _ => Ok(removed),
    }
}

/// How many interfaces have a link of a build. One that is watched both ways has two.
fn linked(build: &Path) -> usize {
    let links = entries(&build.join("links"));
    let pins = links.iter().filter_map(|name| Pin::of(name));
    pins.filter(|pin| pin.direction == Direction::Egress)
        .count()
}

/// Removes the filters of persistent auditors from the namespaces that are `wanted` and can be entered. How many interfaces
/// had one.
pub(super) fn filters(wanted: impl Fn(NetNsCookie) -> bool) -> usize {
    let Ok(census) = Census::take(&[]) else {
        return 0;
    };
    let namespaces = census
        .inodes()
        .filter_map(|inode| census.open(inode).ok().flatten());
    namespaces
        .filter(|netns| wanted(netns.cookie))
        .map(|netns| netns.run(|| filters_here(|_| false)).unwrap_or_default())
        .sum()
}

/// Removes the filters of persistent auditors from the interfaces of the calling thread's namespace, but for those that are
/// to be kept. How many interfaces had one at their egress.
pub(in crate::kernel) fn filters_here(is_kept: impl Fn(IfIndex) -> bool) -> usize {
    let Ok(interfaces) = if_nameindex() else {
        return 0;
    };
    let interfaces = interfaces
        .iter()
        .map(|interface| IfIndex(interface.index()));
    interfaces
        .filter(|&interface| !is_kept(interface))
        .filter(|&interface| {
            let removed =
                Direction::ALL.map(|direction| filters::remove_lasting(interface, direction));
            removed.contains(&true)
        })
        .count()
}
