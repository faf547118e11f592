//! Ending it: `pinif detach`; and what `pinif doctor` says of it.

use std::{fs, fs::File, io, os::fd::AsFd, path::Path, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::net::if_::if_nameindex;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::{
    bpffs,
    find::{Found, find},
    layout::{self, DIRECTORY},
    lock::{self, Locked},
    map_layout,
    owner::Owner,
    state::StateMap,
};
use crate::{
    host::namespaces::Census,
    kernel::{direction::TcDirection, filters, object::Object, syscall::maps_of_program},
};

/// How many names an error has room for.
const NAMES: usize = 5;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Links and filters of interfaces.
    pub interfaces: usize,
    /// Links of cgroup hooks.
    pub hooks: usize,
    /// Maps.
    pub maps: usize,
    /// What is in the directory beside it, and stays.
    pub left: Vec<String>,
    /// How the auditors are ended that are pinned in other mount namespaces.
    pub elsewhere: Vec<String>,
}

impl Removed {
    /// Whether there was anything.
    pub fn is_anything(&self) -> bool {
        self.interfaces + self.hooks + self.maps > 0
    }
}

/// What there is of a persistent auditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The process of the collector, if one runs.
    pub attended: Option<u32>,
    /// To how many interfaces it is attached by links; filters of clsact are not counted.
    pub interfaces: usize,
    /// How long ago the first collector began.
    pub age: Option<Duration>,
}

/// That another collector runs.
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

impl Found {
    /// What there is of the auditor.
    pub fn state(&self) -> State {
        let builds = layout::builds(&self.open).unwrap_or_default();
        let linked = builds.iter().map(|build| layout::linked(&self.open, build));
        let state = builds.iter().find_map(|build| {
            let path = layout::path_of(&self.open, build).join(layout::STATE);
            StateMap::open(&path).ok()
        });
        State {
            attended: lock::holder(&self.open),
            interfaces: linked.sum(),
            age: state.map(|state| state.now.age()),
        }
    }
}

/// Detaches the persistent auditor that is pinned in a directory, of whatever build, and removes its maps. What else is in the
/// directory stays. The directory is removed if pinif made it, and nothing else is in it.
///
/// # Errors
///
/// When the directory is not in a BPF file system or holds something else instead, a collector runs, or the kernel refuses.
pub fn remove(directory: &Path) -> Result<Removed> {
    let shown = directory.display();
    let directory = match fs::canonicalize(directory) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::default()),
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be opened")),
    };
    // Held to the end, so that no collector takes over what is being removed.
    let lock = match lock::lock(&directory) {
        Ok(Locked::Ours(lock)) => lock,
        Ok(Locked::HeldBy(holder)) => bail!("{}", attended(&directory, holder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("the directory {shown} cannot be locked"));
        }
    };
    if !bpffs::is_one(&lock) {
        bail!(
            "{shown} is not in a BPF file system, so that no auditor is pinned there: nothing was removed"
        );
    }
    clear(&directory, &lock).with_context(|| format!("not all of {shown} could be removed"))
}

fn clear(directory: &Path, lock: &File) -> Result<Removed> {
    let mut removed = Removed::default();
    let builds = layout::builds(lock)?;
    let others = layout::others(lock)?;
    if builds.is_empty() && !others.is_empty() {
        bail!(
            "no auditor is pinned in {}, so that nothing was removed: it holds {}",
            directory.display(),
            named(&others)
        );
    }
    let owner = Owner::of(lock);
    let mut is_own = directory == Path::new(DIRECTORY);
    for build in builds {
        let cleared = layout::clear(lock, &build)?;
        removed.interfaces += cleared.interfaces;
        removed.hooks += cleared.hooks;
        removed.maps += cleared.maps;
        removed.left.extend(cleared.left);
        is_own |= cleared.owned_directory;
    }
    removed.interfaces += filters(|_| true, |program| owner.has(program));
    removed.left.extend(others);
    if is_own && removed.left.is_empty() {
        match fs::remove_dir(directory) {
            // Something is mounted there, or was made there a moment ago.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::ResourceBusy
                        | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(removed)
}

/// Whether there are persistent auditors in this mount namespace, and this build can take over each of them; or whether there is one in
/// a directory, and this build can take it over.
///
/// # Errors
///
/// When the mounts of this process cannot be read from /proc.
pub fn all_compatible(directory: Option<&Path>) -> Result<bool> {
    let tag = map_layout::tag(Object::Audit.bytes())?;
    if let Some(directory) = directory {
        // By whatever path, and however deep: as [`remove`] reaches it.
        return Ok(File::open(directory).is_ok_and(|open| {
            bpffs::is_one(&open) && layout::has_auditor(&open) && has_layout(&open, &tag)
        }));
    }
    let found = find()?;
    let mut here = found.iter().filter(|it| it.process.is_none()).peekable();
    Ok(here.peek().is_some() && here.all(|it| has_layout(&it.open, &tag)))
}

/// Whether all that is pinned in a directory has this layout.
fn has_layout(directory: impl AsFd, tag: &str) -> bool {
    layout::builds(directory).is_ok_and(|builds| builds.iter().all(|build| build == tag))
}

/// Detaches the persistent auditor that there is, wherever it is pinned, and removes filters whose auditor is pinned nowhere any
/// more.
///
/// # Errors
///
/// As of [`remove`]; that there are several, or that it is pinned in another mount namespace: then nothing is removed.
pub fn remove_only() -> Result<Removed> {
    let found = find()?;
    let here: Vec<&Found> = found.iter().filter(|it| it.process.is_none()).collect();
    let strays = Strays::beside(&found);
    let mut removed = match *here.as_slice() {
        // Of a start that was cut short, something may be there that is not attached.
        [] if found.is_empty() => remove(Path::new(DIRECTORY))?,
        [only] => remove(&only.directory)?,
        _ => return Err(several(&found)),
    };
    removed.interfaces += strays.remove();
    let elsewhere = found.iter().filter(|it| it.process.is_some());
    removed.elsewhere = elsewhere.map(Found::command).collect();
    Ok(removed)
}

/// Which auditors there are, and how each is ended.
fn several(found: &[Found]) -> anyhow::Error {
    let commands: Vec<_> = found
        .iter()
        .map(|it| format!("`{}`", it.command()))
        .collect();
    match commands.as_slice() {
        [only] => {
            anyhow!("a persistent auditor is pinned in another mount namespace: end it with {only}")
        }
        all => anyhow!(
            "there are {} persistent auditors, and nothing was removed: end each with {}",
            all.len(),
            all.join(", ")
        ),
    }
}

/// Filters of persistent auditors that are pinned nowhere: their file system was unmounted, and the filters stay.
struct Strays(Vec<Owner>);

impl Strays {
    fn beside(found: &[Found]) -> Self {
        Self(found.iter().map(|it| Owner::of(&it.open)).collect())
    }

    fn remove(&self) -> usize {
        // Where the maps of one cannot be read, its filters cannot be distinguished from those of nobody.
        if self.0.iter().any(Owner::is_unknown) {
            return 0;
        }
        let is_stray = |program| {
            maps_of_program(program)
                .is_ok_and(|maps| !self.0.iter().any(|owner| owner.has_one_of(&maps)))
        };
        filters(|_| true, is_stray)
    }
}

/// Removes the filters of persistent auditors whose program, by its number, is `wanted`, from the namespaces that are `in_scope`
/// and can be entered. How many interfaces had one.
pub(super) fn filters(
    in_scope: impl Fn(NetNsCookie) -> bool,
    wanted: impl Fn(u32) -> bool + Sync,
) -> usize {
    let Ok(census) = Census::take(&[]) else {
        return 0;
    };
    let namespaces = census
        .inodes()
        .filter_map(|inode| census.open(inode).ok().flatten());
    namespaces
        .filter(|netns| in_scope(netns.cookie))
        .map(|netns| {
            netns
                .run(|| filters_here(|_| false, &wanted))
                .unwrap_or_default()
        })
        .sum()
}

/// Removes the filters of persistent auditors whose program is `wanted` from the interfaces of the calling thread's namespace, but
/// for those that are to be kept. How many interfaces had one at their egress.
pub(in crate::kernel) fn filters_here(
    is_kept: impl Fn(IfIndex) -> bool,
    wanted: impl Fn(u32) -> bool,
) -> usize {
    let Ok(interfaces) = if_nameindex() else {
        return 0;
    };
    let interfaces = interfaces
        .iter()
        .map(|interface| IfIndex(interface.index()));
    interfaces
        .filter(|&interface| !is_kept(interface))
        .filter(|&interface| {
            let removed = TcDirection::ALL
                .map(|direction| filters::remove_lasting(interface, direction, &wanted));
            removed.contains(&true)
        })
        .count()
}

/// Some of the names that stay in a directory.
pub fn named(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(NAMES)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
