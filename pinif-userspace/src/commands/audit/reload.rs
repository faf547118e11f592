//! A policy that changes while it is in force: at SIGHUP, and when its file is written or replaced.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{signal::unix, sync::mpsc};

use super::super::occasion::occasion;
use crate::{
    collector::plan::Order,
    hub::Notice,
    policy::{Occasion, Policy, PolicyErrors, drop_in_directory, drop_ins},
};

/// Where the policy is, unless it is named.
pub(in crate::commands) const DEFAULT: &str = "/etc/pinif/policy.toml";
/// Editors write in several steps: a file is read when it has been left alone for this long.
const SETTLED: Duration = Duration::from_millis(100);

/// Where the policy comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    file: PathBuf,
    /// Whether there may be none.
    optional: bool,
    occasion: Occasion,
    seen: Vec<Option<State>>,
}

/// What distinguishes one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Who can change it: one that was refused for that is read again when it is put right.
    owner: u32,
    mode: u32,
}

impl Source {
    /// The named file, or the default one, if that is there.
    pub(super) fn new(named: Option<PathBuf>) -> Self {
        Self {
            optional: named.is_none(),
            file: named.unwrap_or_else(|| DEFAULT.into()),
            occasion: occasion(),
            seen: Vec::new(),
        }
    }

    /// The policy as it is now; nothing where there is none, nor has to be.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(&mut self) -> Result<Option<Policy>, PolicyErrors> {
        // First, so that what is written in the meantime counts as a change.
        self.seen = self.states();
        let occasion = self.occasion;
        if occasion == Occasion::ByHand {
            self.occasion = Occasion::AgainByHand;
        }
        match Policy::read(&self.file, occasion) {
            Err(errors) if self.optional && errors.is_missing() => {
                Policy::read_drop_ins(&self.file, occasion)
            }
            Err(errors) => Err(errors),
            Ok(policy) => {
                // From now on, the lack of it is an accident.
                self.optional = false;
                Ok(Some(policy))
            }
        }
    }

    fn order(&mut self) -> Order {
        match self.read() {
            Ok(Some(policy)) => Order::Policy(Box::new(policy)),
            Ok(None) => Order::Notice(Notice::PolicyAbsent),
            Err(errors) => Order::WrongPolicy(errors),
        }
    }

    /// Whether a file is another, or has been written, or is there or gone since they were read last.
    fn has_changed(&self) -> bool {
        self.states() != self.seen
    }

    /// The states of the policy's file and of those beside it.
    fn states(&self) -> Vec<Option<State>> {
        // Where they cannot be listed, the reading says so.
        let beside = drop_ins(&self.file).unwrap_or_default();
        let files = [&self.file].into_iter().chain(&beside);
        files.map(|file| state(file)).collect()
    }

    /// The directories in which something happens when it changes: its own, and that of the file that a symbolic link in it
    /// leads to. What is replaced in the first may also be a link on the way (a Kubernetes volume's `..data`).
    fn directories(&self) -> io::Result<BTreeSet<PathBuf>> {
        let parent = |file: &Path| file.parent().unwrap_or(Path::new("/")).to_owned();
        let mut directories = BTreeSet::from([parent(&std::path::absolute(&self.file)?)]);
        let real = |file: &Path| Some(parent(&file.canonicalize().ok()?));
        directories.extend(real(&self.file));
        let beside = drop_in_directory(&self.file);
        if beside.is_dir() {
            directories.insert(std::path::absolute(beside)?);
            let files = drop_ins(&self.file).unwrap_or_default();
            directories.extend(files.iter().filter_map(|file| real(file)));
        }
        Ok(directories)
    }
}

fn state(file: &Path) -> Option<State> {
    let metadata = fs::metadata(file).ok()?;
    Some(State {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        owner: metadata.uid(),
        mode: metadata.mode(),
    })
}

/// Sends the policy each time that it is to be read again (at `hangup`, and when its file changes), or what is wrong with it, for as long as somebody receives it.
/// Within a tokio runtime.
///
/// # Errors
///
/// When the file's directory cannot be watched.
pub(super) fn follow(
    mut source: Source,
    mut hangup: unix::Signal,
    orders: mpsc::UnboundedSender<Order>,
) -> Result<()> {
    let (mut watch, mut changes) = Watch::new()?;
    watch.look_at(&source)?;
    tokio::spawn(async move {
        // It may have changed between the first reading and the watching.
        let mut changed = source.has_changed();
        while !orders.is_closed() {
            if !changed {
                tokio::select! {
                    Some(()) = hangup.recv() => {}
                    Some(()) = changes.recv() => {
                        // The directory beside the policy may be there at last, and what is in it from now on is watched for.
                        let _ = watch.look_at(&source);
                        if !source.has_changed() {
                            continue;
                        }
                        while let Ok(Some(())) =
                            tokio::time::timeout(SETTLED, changes.recv()).await
                        {}
                    }
                    else => return,
                }
            }
            changed = false;
            // Beside the collector, which shares this thread: a large policy takes its time.
            let reading = tokio::task::spawn_blocking(move || {
                let order = source.order();
                (source, order)
            });
            // It does not panic, so that it is the runtime that ends.
            let Ok((read, order)) = reading.await else {
                return;
            };
            source = read;
            if orders.send(order).is_err() {
                return;
            }
            // The links may lead elsewhere by now; where that cannot be watched, SIGHUP still works.
            let _ = watch.look_at(&source);
        }
    });
    Ok(())
}

/// Watches directories for whatever happens in them.
struct Watch {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
}

impl Watch {
    fn new() -> Result<(Self, mpsc::UnboundedReceiver<()>)> {
        let (changed, changes) = mpsc::unbounded_channel();
        let handler = move |event: notify::Result<notify::Event>| {
            // Reading is no change, and our own would be followed by another.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = changed.send(());
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .context("changes of the policy file cannot be watched for")?;
        let directories = BTreeSet::new();
        Ok((
            Self {
                watcher,
                directories,
            },
            changes,
        ))
    }

    fn look_at(&mut self, source: &Source) -> Result<()> {
        let directories = source.directories().with_context(|| {
            format!("the path {} cannot be made absolute", source.file.display())
        })?;
        for gone in self.directories.difference(&directories) {
            // A directory that is removed is not watched any more anyway.
            let _ = self.watcher.unwatch(gone);
        }
        for directory in &directories {
            match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                // The directory of the default policy, which need not be there.
                Err(_) if source.optional => {}
                outcome => outcome.with_context(|| {
                    format!("the directory {} cannot be watched", directory.display())
                })?,
            }
        }
        self.directories = directories;
        Ok(())
    }
}
