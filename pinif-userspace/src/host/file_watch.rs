//! Files of the operator's that are read again when they change: what distinguishes one state of a file from another, and that something
//! has happened where it is (inotify(7)).

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{sync::mpsc, time::timeout};

/// Editors write in several steps, and several files one after the other: they are read when all has been left alone for this long.
const SETTLED: Duration = Duration::from_millis(100);

/// What distinguishes one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Who can change or read it: one that was refused for that is read again when it is put right.
    owner: u32,
    group: u32,
    mode: u32,
}

impl FileState {
    /// That of a file; nothing where there is none.
    pub fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode(),
        })
    }
}

/// The directories in which something happens when a file changes: its own, and that of the file that a symbolic link in it
/// leads to. What is replaced in the first may also be a link on the way (a Kubernetes volume's `..data`).
///
/// # Errors
///
/// When the path cannot be made absolute.
pub(crate) fn directories(file: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let parent = |file: &Path| file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut directories = BTreeSet::from([parent(&std::path::absolute(file)?)]);
    directories.extend(file.canonicalize().ok().map(|real| parent(&real)));
    Ok(directories)
}

/// That something has happened in the directories that are watched.
pub(crate) struct Changes(mpsc::UnboundedReceiver<()>);

impl Changes {
    /// Waits until something has; nothing where nobody watches any more.
    pub async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }

    /// Waits until all has been left alone for a moment.
    pub async fn settle(&mut self) {
        while let Ok(Some(())) = timeout(SETTLED, self.0.recv()).await {}
    }
}

/// Watches directories for whatever happens in them.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
}

impl Watch {
    /// Of no directory yet.
    ///
    /// # Errors
    ///
    /// When the kernel gives no more of these (`fs.inotify.max_user_instances`).
    pub fn new() -> notify::Result<(Self, Changes)> {
        let (changed, changes) = mpsc::unbounded_channel();
        let handler = move |event: notify::Result<notify::Event>| {
            // Reading is no change, and our own would be followed by another.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = changed.send(());
            }
        };
        let watch = Self {
            watcher: notify::recommended_watcher(handler)?,
            directories: BTreeSet::new(),
        };
        Ok((watch, Changes(changes)))
    }

    /// Watches these, and no others. They need not be there where they are `optional`.
    ///
    /// # Errors
    ///
    /// When one cannot be watched.
    pub fn look_at(&mut self, directories: BTreeSet<PathBuf>, optional: bool) -> Result<()> {
        for gone in self.directories.difference(&directories) {
            // A directory that is removed is not watched any more anyway.
            let _ = self.watcher.unwatch(gone);
        }
        for directory in &directories {
            match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                Err(_) if optional => {}
                outcome => outcome.with_context(|| {
                    format!("the directory {} cannot be watched", directory.display())
                })?,
            }
        }
        self.directories = directories;
        Ok(())
    }
}
