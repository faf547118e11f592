//! What stays when a collector ends: maps and links, pinned in a BPF file system. The programs go on counting, and the next
//! collector takes over.
//!
//! ```text
//! DIRECTORY            locked by the collector that lives
//!   BUILD              which programs made what is below: another build would misread the maps
//!     own              an empty directory, where pinif made DIRECTORY
//!     standing         what is true of all lives; pinned last of all maps, so that a start that was cut short has none
//!     interfaces, namespaces                     the names that they have or had
//!     findings, cells                            of interfaces whose indexes others have had since
//!     maps/NAME                                  the programs' maps
//!     cgroup/PROGRAM                             links of the cgroup hooks
//!     links/COOKIE-INDEX-DIRECTION               links of interfaces (TCX; a filter of clsact stays by itself)
//! ```

mod accounts;
mod bpffs;
mod find;
mod layout;
pub(in crate::kernel) mod link;
mod lock;
mod owner;
mod pin;
mod remove;
mod standing;

use std::{
    cell::RefCell,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use aya::Ebpf;
use pinif_ebpf::{key::NetNsCookie, policy::Slot};

use self::{
    accounts::Accounts,
    lock::Locked,
    standing::{Memory, Standing, StandingMap, number_of},
};
use super::{attach::Mode, clock::monotonic};
use crate::text::hash::fnv1a;

pub use accounts::{ClosedCell, ClosedFinding, Names};
pub use find::{Found, find};
pub use owner::Owner;
pub use pin::{Pin, Pins};
pub(super) use remove::filters_here;
pub use remove::{Removed, State, named, remove, remove_only};
pub use standing::Remembered;

/// Where it is, unless another directory is named.
pub const DIRECTORY: &str = "/sys/fs/bpf/pinif";
/// What the maps of [`standing`] look like: another number is another build.
const LAYOUT: u8 = 1;

/// What one auditor has pinned.
pub struct Persist {
    build: PathBuf,
    tag: String,
    /// The directory, held for as long as this collector lives.
    lock: File,
    /// None until all maps are pinned.
    standing: RefCell<Option<StandingMap>>,
    memory: RefCell<Memory>,
    accounts: RefCell<Accounts>,
    takes_over: bool,
    new: Standing,
    keeps: Arc<AtomicBool>,
}

impl Persist {
    /// Opens a directory for a collector whose programs are `object`, and takes over what another has left there. `secret`
    /// tells the marks of a new auditor.
    ///
    /// # Errors
    ///
    /// When there is no BPF file system, another collector lives, or what is there is another build's or was attached
    /// otherwise.
    pub fn open(directory: &Path, object: &[u8], mode: Mode, secret: u32) -> Result<Self> {
        let bpffs::Directory {
            path: directory,
            is_new,
        } = bpffs::make_directory(directory)?;
        let shown = directory.display();
        let lock = match lock::lock(&directory)
            .with_context(|| format!("the directory {shown} cannot be locked"))?
        {
            Locked::Ours(lock) => lock,
            Locked::Anothers(holder) => bail!("{}", remove::attended(&directory, holder)),
        };
        let tag = tag(object);
        let builds = layout::builds(&lock).with_context(|| format!("{shown} cannot be read"))?;
        if let Some(other) = builds.iter().find(|build| **build != tag) {
            bail!(
                "{shown} has what another build of pinif ({other}) counts in; start that one, or end it with \
                 `pinif detach --persist={shown}`: its counts and findings are lost then"
            );
        }
        let build = directory.join(&tag);
        let standing = build.join(layout::STANDING);
        let standing = (builds.contains(&tag) && standing.exists())
            .then(|| StandingMap::open(&standing))
            .transpose()
            .context("what an earlier collector has pinned cannot be read")?;
        let new = Standing {
            started: monotonic().as_nanos() as u64,
            policies: [0; 2],
            secret,
            mode: number_of(mode),
        };
        let takes_over = standing.is_some();
        if let Some(standing) = &standing {
            let before = standing.now.mode();
            if before != mode {
                bail!(
                    "the auditor that is to be taken over is attached by {}; start with `--attach {0}`, or end it with \
                     `pinif detach`",
                    before.name()
                );
            }
            // Of one that was killed while it put a hook in the place of another.
            layout::clear_unfinished(&lock, &tag)
                .context("what an earlier collector has left unfinished cannot be removed")?;
        } else {
            begin(&lock, &build, &tag, is_new)?;
            Memory::make(&build)
                .and_then(|()| Accounts::make(&build))
                .context("maps cannot be pinned")?;
        }
        Ok(Self {
            lock,
            standing: RefCell::new(standing),
            memory: RefCell::new(Memory::open(&build)?),
            accounts: RefCell::new(Accounts::open(&build)?),
            takes_over,
            new,
            keeps: Arc::new(AtomicBool::new(takes_over)),
            build,
            tag,
        })
    }

    /// Whether there is something to take over.
    pub fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn now(&self) -> Standing {
        self.standing
            .borrow()
            .as_ref()
            .map_or(self.new, |standing| standing.now)
    }

    /// What tells this auditor's marks: the same in all lives.
    pub fn secret(&self) -> u32 {
        self.now().secret
    }

    /// How long ago the first life began.
    pub fn age(&self) -> Duration {
        self.now().age()
    }

    /// The programs' maps that are pinned, with their names.
    pub(super) fn maps(&self) -> Vec<(String, PathBuf)> {
        entries(&self.build.join(layout::MAPS))
            .into_iter()
            .map(|name| (name.clone(), self.build.join(layout::MAPS).join(name)))
            .collect()
    }

    /// Pins the maps of a new auditor, and then what says that they are complete.
    ///
    /// # Errors
    ///
    /// When one cannot be pinned; of an auditor that is taken over, when one is missing.
    pub(super) fn hold(&self, ebpf: &Ebpf) -> Result<()> {
        let maps = self.build.join(layout::MAPS);
        let lasting = ebpf.maps().filter(|(name, _)| lasts(name));
        if self.takes_over {
            for (name, _) in lasting {
                if !maps.join(name).exists() {
                    bail!("the pinned map {name} is missing; begin anew with `pinif detach`");
                }
            }
            return Ok(());
        }
        for (name, map) in lasting {
            map.pin(maps.join(name))
                .with_context(|| format!("the map {name} cannot be pinned"))?;
        }
        let standing = StandingMap::make(self.new, &self.build.join(layout::STANDING))
            .context("what stays cannot be pinned")?;
        *self.standing.borrow_mut() = Some(standing);
        Ok(())
    }

    /// From now on, all stays attached, whatever ends this collector.
    pub fn keep(&self) {
        self.keeps.store(true, Ordering::Relaxed);
    }

    /// The links of interfaces.
    pub fn pins(&self) -> Pins {
        Pins {
            links: self.build.join(layout::LINKS),
            keeps: self.keeps.clone(),
        }
    }

    /// Where the link of a cgroup hook is, by the name of its program.
    pub(super) fn cgroup_link(&self, program: &str) -> PathBuf {
        self.build.join(layout::CGROUP).join(program)
    }

    /// Whether the policy in a slot was made from what has this digest.
    pub fn has_policy(&self, slot: Slot, digest: u64) -> bool {
        self.takes_over && self.now().policies[slot as usize & 1] == digest
    }

    /// Notes what the policy in a slot will be made from. Before it is in force: what is said of the one in force is true.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn note_policy(&self, slot: Slot, digest: u64) -> Result<()> {
        match self.standing.borrow_mut().as_mut() {
            Some(standing) => standing.note_policy(slot, digest),
            None => Ok(()),
        }
    }

    /// The interfaces that earlier lives knew.
    pub fn interfaces(&self) -> Vec<Remembered> {
        self.memory.borrow().interfaces()
    }

    /// The namespaces that earlier lives audited.
    pub fn namespaces(&self) -> Vec<(NetNsCookie, String)> {
        self.memory.borrow().namespaces()
    }

    /// Whether an earlier life audited a namespace.
    pub fn knows(&self, netns: NetNsCookie) -> bool {
        self.takes_over && self.memory.borrow().has(netns)
    }

    /// Remembers an interface for the next life.
    pub fn remember_interface(&self, interface: &Remembered) {
        self.memory.borrow_mut().interface(interface);
    }

    /// Remembers a namespace for the next life.
    pub fn remember_namespace(&self, netns: NetNsCookie, name: &str) {
        self.memory.borrow_mut().namespace(netns, name);
    }

    /// The findings of interfaces whose indexes others have had since.
    pub fn closed_findings(&self) -> Vec<ClosedFinding> {
        self.accounts.borrow().findings()
    }

    /// The cells of such interfaces, in the order in which they were closed.
    pub fn closed_cells(&self) -> Vec<ClosedCell> {
        self.accounts.borrow().cells()
    }

    /// Keeps a finding for the next life, before its counter is removed.
    pub fn close_finding(&self, closed: &ClosedFinding) {
        self.accounts.borrow_mut().close_finding(closed);
    }

    /// Keeps for the next life what a cell had until now.
    pub fn close_cell(&self, closed: &ClosedCell) {
        self.accounts.borrow_mut().close_cell(closed);
    }

    /// Detaches from all namespaces but these, which an earlier life audited and this one does not.
    pub fn leave_all_but(&self, netns: impl Fn(NetNsCookie) -> bool) {
        self.pins().retain(|pin| netns(pin.netns));
        if self.now().mode() == Mode::Clsact {
            let owner = self.owner();
            remove::filters(
                |cookie| !netns(cookie) && self.knows(cookie),
                |program| owner.has(program),
            );
        }
    }

    /// What tells this auditor's entry programs from those of another.
    pub fn owner(&self) -> Owner {
        Owner::of(&self.lock)
    }
}

/// Makes the directories of a new auditor.
fn begin(lock: &File, build: &Path, tag: &str, owns_directory: bool) -> Result<()> {
    // One that was cut short has attached nothing.
    let before = layout::clear(lock, tag)
        .with_context(|| format!("{} cannot be begun anew", build.display()))?;
    let own = owns_directory || before.owned_directory;
    let parts = ["", layout::MAPS, layout::CGROUP, layout::LINKS].into_iter();
    for part in parts.chain(own.then_some(layout::OWN)) {
        let directory = build.join(part);
        match DirBuilder::new().mode(0o700).create(&directory) {
            // It has what pinif did not make, and stayed.
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && is_directory(&directory) => {}
            made => made
                .with_context(|| format!("the directory {} cannot be made", directory.display()))?,
        }
    }
    Ok(())
}

/// Whether it is a directory itself, and no symbolic link to one.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}

impl Drop for Persist {
    fn drop(&mut self) {
        // A new auditor that could not start.
        if !self.keeps.load(Ordering::Relaxed) {
            let cleared = layout::clear(&self.lock, &self.tag);
            if cleared.is_ok_and(|it| it.owned_directory)
                && let Some(directory) = self.build.parent()
            {
                let _ = fs::remove_dir(directory);
            }
        }
    }
}

/// Whether a map stays. What stands in the object's own sections is a build's, and the ring of debug messages is of the one
/// who reads it.
fn lasts(map: &str) -> bool {
    !map.starts_with('.') && map != "AYA_LOGS"
}

/// What a build's directory is called.
fn tag(object: &[u8]) -> String {
    format!("{:016x}", fnv1a(object.iter().copied().chain([LAYOUT])))
}

/// What tells one policy from another, as far as it is the same build's.
pub fn digest_of(text: &str) -> u64 {
    fnv1a(text.bytes())
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_by_every_byte() {
        assert_eq!(tag(b"one").len(), 16);
        assert_ne!(tag(b"one"), tag(b"onf"));
        assert!(
            !tag(b"one").contains('.'),
            "a BPF file system takes no dots"
        );
        assert_ne!(digest_of("a"), digest_of("b"));
    }

    #[test]
    fn what_the_programs_share_stays() {
        assert!(lasts("FINDINGS") && lasts("TRAFFIC"));
        assert!(!lasts(".rodata") && !lasts(".bss") && !lasts("AYA_LOGS"));
    }
}
