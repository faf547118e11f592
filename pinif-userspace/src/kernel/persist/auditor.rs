//! What one auditor has pinned: opened by a collector, and taken over from a previous instance.

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

use super::{
    archive::{ArchivedCell, ArchivedCounters, ArchivedFinding},
    bpffs,
    kept::KeptMaps,
    layout,
    learned::{LearnedRecords, LearningBegan},
    lock::{self, Locked},
    map_layout::{self, is_learned, lasts},
    names::{KnownNames, Remembered},
    owner::Owner,
    pin::Pins,
    remove,
    seen::{Seen, SeenFindings},
    state::{PersistedState, StateMap},
};
use crate::{
    kernel::{load, mode::Mode, object::Object},
    text::{hash::fnv1a, shell},
};

/// What one auditor has pinned.
pub struct Persist {
    build: PathBuf,
    tag: String,
    directory: PathBuf,
    /// The directory, held for as long as this collector runs.
    lock: File,
    /// None until all maps are pinned.
    state: RefCell<Option<StateMap>>,
    names: RefCell<KnownNames>,
    archive: RefCell<ArchivedCounters>,
    seen: RefCell<SeenFindings>,
    takes_over: bool,
    new: PersistedState,
    keeps: Arc<AtomicBool>,
    kept: RefCell<KeptMaps>,
}

impl Persist {
    /// Opens a directory for a collector, and takes over what a previous instance has left there.
    ///
    /// # Errors
    ///
    /// When there is no BPF file system, another collector runs, or what is there has another layout or was attached
    /// otherwise.
    pub fn open(directory: &Path, mode: Mode) -> Result<Self> {
        let bpffs::Directory {
            path: directory,
            is_new,
        } = bpffs::make_directory(directory)?;
        let shown = directory.display();
        let lock = match lock::lock(&directory)
            .with_context(|| format!("the directory {shown} cannot be locked"))?
        {
            Locked::Ours(lock) => lock,
            Locked::HeldBy(holder) => bail!("{}", remove::attended(&directory, holder)),
        };
        let tag = map_layout::tag(Object::Audit.bytes())?;
        let builds = layout::builds(&lock).with_context(|| format!("{shown} cannot be read"))?;
        if let Some(other) = builds.iter().find(|build| **build != tag) {
            bail!(
                "{shown} has the counts of a build of pinif whose maps have another layout ({other}; this one's is {tag}): it \
                 goes on, and nothing was changed. Start that build, or end it with `pinif detach --persist={}`: its \
                 counts and findings are lost then",
                shell::path(&directory)
            );
        }
        let build = directory.join(&tag);
        let state = build.join(layout::STATE);
        let state = (builds.contains(&tag) && state.exists())
            .then(|| StateMap::open(&state))
            .transpose()
            .context("what a previous instance has pinned cannot be read")?;
        let takes_over = state.is_some();
        if let Some(state) = &state {
            let before = state.now.mode();
            if before != mode {
                bail!(
                    "the auditor that is to be taken over is attached by {}; start with `--attach {0}`, or end it with \
                     `pinif detach`",
                    before.name()
                );
            }
            // Of one that was killed while it put a hook in the place of another.
            layout::clear_unfinished(&lock, &tag)
                .context("what a previous instance has left unfinished cannot be removed")?;
        } else {
            begin(&lock, &build, &tag, is_new)?;
            KnownNames::make(&build)
                .and_then(|()| ArchivedCounters::make(&build))
                .and_then(|()| SeenFindings::make(&build))
                .context("maps cannot be pinned")?;
        }
        Ok(Self {
            directory,
            lock,
            state: RefCell::new(state),
            names: RefCell::new(KnownNames::open(&build)?),
            archive: RefCell::new(ArchivedCounters::open(&build)?),
            seen: RefCell::new(SeenFindings::open(&build)?),
            takes_over,
            new: PersistedState::new(mode, load::secret()),
            keeps: Arc::new(AtomicBool::new(takes_over)),
            kept: RefCell::default(),
            build,
            tag,
        })
    }

    /// The directory that it is pinned in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether there is something to take over.
    pub fn takes_over(&self) -> bool {
        self.takes_over
    }

    fn now(&self) -> PersistedState {
        self.state
            .borrow()
            .as_ref()
            .map_or(self.new, |state| state.now)
    }

    /// What distinguishes this auditor's marks: the same in all instances.
    pub fn secret(&self) -> u32 {
        self.now().secret
    }

    /// When the first instance began, on `CLOCK_MONOTONIC`.
    pub fn began(&self) -> Duration {
        self.now().began()
    }

    /// How long ago the first instance began.
    pub fn age(&self) -> Duration {
        self.now().age()
    }

    /// The programs' maps that are pinned, with their names; those of what is learned only where this instance `learns`.
    pub(in crate::kernel) fn maps(&self, learns: bool) -> Vec<(String, PathBuf)> {
        bpffs::names(&self.build.join(layout::MAPS))
            .into_iter()
            .filter(|name| learns || !is_learned(name))
            .map(|name| (name.clone(), self.build.join(layout::MAPS).join(name)))
            .collect()
    }

    /// Pins the maps of a new auditor, and then what says that they are complete; those of what is learned where this instance `learns`.
    ///
    /// # Errors
    ///
    /// When one cannot be pinned; of an auditor that is taken over, when one is missing.
    pub(in crate::kernel) fn hold(&self, ebpf: &Ebpf, learns: bool) -> Result<()> {
        self.pin_maps(ebpf, learns)?;
        let maps = self.maps(learns).into_iter().map(|(_, path)| path);
        let others = layout::COLLECTORS.iter().chain([&layout::STATE]);
        let others = others.map(|name| self.build.join(name));
        *self.kept.borrow_mut() = KeptMaps::at(maps.chain(others));
        Ok(())
    }

    fn pin_maps(&self, ebpf: &Ebpf, learns: bool) -> Result<()> {
        let maps = self.build.join(layout::MAPS);
        let learned = ebpf.maps().filter(|(name, _)| learns && is_learned(name));
        for (name, map) in learned {
            // An earlier instance may have learned, too.
            if !maps.join(name).exists() {
                map.pin(maps.join(name))
                    .with_context(|| format!("the map {name} cannot be pinned"))?;
            }
        }
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
        let state = StateMap::make(self.new, &self.build.join(layout::STATE))
            .context("the persisted state cannot be pinned")?;
        *self.state.borrow_mut() = Some(state);
        Ok(())
    }

    /// Pins the maps again that somebody has removed the pins of. `None` where all are pinned.
    pub fn pin_again(&self) -> Option<Result<()>> {
        let again = self.kept.borrow().pin_again()?;
        Some(again.with_context(|| format!("a map cannot be pinned in {}", self.build.display())))
    }

    /// Where something is pinned: a path in each directory.
    pub fn pinned(&self) -> [PathBuf; 3] {
        [layout::LINKS, layout::CGROUP, layout::MAPS].map(|part| self.build.join(part).join("any"))
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
    pub(in crate::kernel) fn cgroup_link(&self, program: &str) -> PathBuf {
        self.build.join(layout::CGROUP).join(program)
    }

    /// Whether the policy in a slot was made from what has this digest.
    pub fn has_policy(&self, slot: Slot, digest: u64) -> bool {
        self.takes_over && self.now().has_policy(slot, digest)
    }

    /// Writes what the policy in a slot will be made from. Before it is in force: what is said of the one in force is true.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn write_policy(&self, slot: Slot, digest: u64) -> Result<()> {
        match self.state.borrow_mut().as_mut() {
            Some(state) => state.write_policy(slot, digest),
            None => Ok(()),
        }
    }

    /// The interfaces that previous instances knew.
    pub fn interfaces(&self) -> Vec<Remembered> {
        self.names.borrow().interfaces()
    }

    /// The namespaces that previous instances audited.
    pub fn namespaces(&self) -> Vec<(NetNsCookie, String)> {
        self.names.borrow().namespaces()
    }

    /// Whether a previous instance audited a namespace.
    pub fn knows(&self, netns: NetNsCookie) -> bool {
        self.takes_over && self.names.borrow().has(netns)
    }

    /// Remembers an interface for the next instance.
    pub fn remember_interface(&self, interface: &Remembered) {
        self.names.borrow_mut().interface(interface);
    }

    /// Remembers a namespace for the next instance.
    pub fn remember_namespace(&self, netns: NetNsCookie, name: &str) {
        self.names.borrow_mut().namespace(netns, name);
    }

    /// The findings of interfaces whose indexes others have had since.
    pub fn archived_findings(&self) -> Vec<ArchivedFinding> {
        self.archive.borrow().findings()
    }

    /// The cells of such interfaces, in the order in which they were archived.
    pub fn archived_cells(&self) -> Vec<ArchivedCell> {
        self.archive.borrow().cells()
    }

    /// Archives a finding for the next instance, before its counter is removed.
    pub fn archive_finding(&self, archived: &ArchivedFinding) {
        self.archive.borrow_mut().archive_finding(archived);
    }

    /// Archives for the next instance what a cell had until now.
    pub fn archive_cell(&self, archived: &ArchivedCell) {
        self.archive.borrow_mut().archive_cell(archived);
    }

    /// When a previous instance, or this one, has last seen a finding.
    pub fn seen(&self, finding: u64) -> Option<Seen> {
        self.seen.borrow().get(finding)
    }

    /// Remembers for the next instance when a finding was last seen.
    pub fn remember_seen(&self, finding: u64, seen: Seen) {
        self.seen.borrow_mut().remember(finding, seen);
    }

    /// What is known of what instances have learned; `now` it is begun, where none did.
    ///
    /// # Errors
    ///
    /// When it cannot be pinned.
    pub fn learned(&self, now: LearningBegan) -> Result<LearnedRecords> {
        let records = LearnedRecords::at(&self.build, now);
        let records = records.context("what is known of what is learned cannot be pinned")?;
        let paths = LearnedRecords::paths(&self.build);
        self.kept.borrow_mut().add(paths);
        Ok(records)
    }

    /// Removes what earlier instances have learned, where this one does not learn.
    pub fn forget_learned(&self) {
        // What cannot be removed now is by the next.
        let _ = layout::clear_learned(&self.lock, &self.tag);
    }

    /// Detaches from all namespaces but these, which a previous instance audited and this one does not.
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

    /// What distinguishes this auditor's entry programs from those of another.
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

/// What distinguishes one policy from another.
pub fn digest_of(text: &str) -> u64 {
    fnv1a(text.bytes())
}
