//! Files of the operator's that are read again when they change: what distinguishes one state of a file from another, and that something
//! has happened where it is (inotify(7)).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io,
    mem::{self, MaybeUninit},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{sleep, timeout},
};

use super::path_names::PathNames;

/// Editors write in several steps, and several files one after the other: they are read when all has been left alone for this long.
const SETTLED: Duration = Duration::from_millis(100);
/// How many reads drain a queue at most: it fills while it is read, perhaps.
const MOST_READS: usize = 64;
/// They are read after this long, where something happens all the time.
const UNSETTLED: Duration = Duration::from_secs(2);

/// What distinguishes one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// One that was refused for this is read again when it is put right.
    guard: Guard,
}

/// Who can change or read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    owner: u32,
    group: u32,
    mode: u32,
}

impl Guard {
    fn of(metadata: &Metadata) -> Self {
        Self {
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode(),
        }
    }
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
            guard: Guard::of(&metadata),
        })
    }
}

/// The directories and links by which a path leads to a file.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// Those in which something happens when the path leads to another file, or the file changes: that of each link, and the file's own.
    pub decisive: BTreeSet<PathBuf>,
    /// All that it passes, from the root on.
    pub passed: BTreeSet<PathBuf>,
    links: BTreeSet<PathBuf>,
}

impl Way {
    /// The way to a file. Where something on it is not there, it ends before that. What a process has open
    /// (proc_pid_fd(5)) is replaced by nobody.
    ///
    /// # Errors
    ///
    /// When the path cannot be made absolute.
    pub fn to(file: &Path) -> io::Result<Self> {
        let mut way = Self::default();
        let mut at = PathBuf::from("/");
        let mut names = PathNames::of(&std::path::absolute(file)?);
        while let Some(name) = names.next() {
            if name == ".." {
                at.pop();
                continue;
            }
            // The root is joined as the root.
            let next = at.join(&name);
            if next == Path::new("/proc") {
                return Ok(Self::default());
            }
            match fs::read_link(&next) {
                Ok(target) if names.follow(&target) => {
                    way.passed.insert(at.clone());
                    way.decisive.insert(at.clone());
                    way.links.insert(next);
                }
                // It is no link.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput && !names.are_done() => {
                    at = next;
                    way.passed.insert(at.clone());
                }
                _ => {
                    way.decisive.insert(at);
                    break;
                }
            }
        }
        Ok(way)
    }

    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.decisive.extend(other.decisive);
        self.passed.extend(other.passed);
        self.links.extend(other.links);
    }

    /// Who can replace what is on it. What is refused for that is read again when it is put right.
    pub fn guards(&self) -> BTreeMap<PathBuf, Option<Guard>> {
        let all = self.passed.iter().chain(&self.links);
        let guard = |path: &PathBuf| fs::symlink_metadata(path).ok().map(|it| Guard::of(&it));
        all.map(|path| (path.clone(), guard(path))).collect()
    }
}

/// What is to be another for files to be read again: one of them, or who can replace what is on the way to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    files: Vec<Option<FileState>>,
    guards: BTreeMap<PathBuf, Option<Guard>>,
}

impl Seen {
    /// As these files are now, and the way to them.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Path>, way: &Way) -> Self {
        Self {
            files: files.into_iter().map(FileState::of).collect(),
            guards: way.guards(),
        }
    }
}

/// What is noticed in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// Names that come, go or lead elsewhere.
    Names,
    /// These, and that a file is written, or others may do so.
    Contents,
}

impl Happening {
    /// Not that a file is opened or read: each program that starts opens some of `/etc`.
    fn mask(self) -> WatchFlags {
        let names = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match self {
            Self::Names => names,
            Self::Contents => names | WatchFlags::MODIFY | WatchFlags::ATTRIB,
        }
    }
}

/// That something has happened in the directories that are watched.
pub(crate) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    /// Waits until something has; nothing where that cannot be read any more. Each time, it reads once: who writes without a pause does not
    /// keep the thread. Safe to cancel.
    pub async fn next(&mut self) -> Option<()> {
        loop {
            let mut guard = self.0.readable().await.ok()?;
            match read_once(self.0.get_ref()) {
                Ok(true) => return Some(()),
                Ok(false) => {}
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(_) => return None,
            }
        }
    }

    /// Forgets what has happened so far, and returns whether anything has.
    pub fn drain(&mut self) -> bool {
        let mut any = false;
        for _ in 0..MOST_READS {
            match read_once(self.0.get_ref()) {
                Ok(happened) => any |= happened,
                // Where it cannot be read, the next says so.
                Err(_) => break,
            }
        }
        any
    }

    /// Waits until all has been left alone for a moment.
    pub async fn settle(&mut self) {
        let settled = async {
            loop {
                self.pause().await;
                if !self.drain() {
                    break;
                }
            }
        };
        let _ = timeout(UNSETTLED, settled).await;
    }

    /// Waits for that moment, whatever happens: after something that did not matter.
    pub async fn pause(&mut self) {
        sleep(SETTLED).await;
    }
}

/// Reads as much of what has happened as one read gives. Whether anything of it was more than that a directory is not watched any more.
fn read_once(queue: &OwnedFd) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(queue, &mut buffer);
    let mut any = false;
    loop {
        any |= events.next()?.events() != ReadFlags::IGNORED;
        if events.is_buffer_empty() {
            return Ok(any);
        }
    }
}

/// Watches directories for what happens in them (inotify(7)).
pub(crate) struct Watch {
    queue: OwnedFd,
    happening: Happening,
    /// Each directory, and the number of its watch: two paths to one have the same.
    directories: BTreeMap<PathBuf, i32>,
}

impl Watch {
    /// Of no directory yet. Within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the kernel gives no more of these (`fs.inotify.max_user_instances`).
    pub fn new(happening: Happening) -> Result<(Self, Changes)> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).context(
            "no inotify instance is left to the user; `sysctl fs.inotify.max_user_instances` says how many there may be",
        )?;
        let watch = Self {
            queue: queue.try_clone()?,
            happening,
            directories: BTreeMap::new(),
        };
        // SAFETY: the descriptor owns itself, and neither closes nor changes before it is dropped.
        let changes = unsafe { AsyncFd::register_with_interest(queue, Interest::READABLE)? };
        Ok((watch, Changes(changes)))
    }

    /// Watches what decides where this way leads, and nothing else. It need not be there where it is `optional`. All that it passes is watched
    /// besides, as far as it can be, for names alone: who renames a directory on it has it lead elsewhere. Where what the way leads to
    /// `is_wrong`, that is as for what decides: it may be so for who can change a directory on it.
    ///
    /// # Errors
    ///
    /// When what decides cannot be watched.
    pub fn look_at(&mut self, way: Way, optional: bool, is_wrong: bool) -> Result<()> {
        let before = mem::take(&mut self.directories);
        let passed = if is_wrong {
            self.happening
        } else {
            Happening::Names
        };
        for directory in way.passed.difference(&way.decisive) {
            let _ = self.add(directory, passed);
        }
        let outcome = self.add_all(&way.decisive, optional);
        self.forget(before);
        outcome
    }

    /// Watches these directories, and nothing else.
    ///
    /// # Errors
    ///
    /// When one cannot be watched, unless they need not be there.
    pub fn look_at_all(&mut self, directories: &BTreeSet<PathBuf>, optional: bool) -> Result<()> {
        let before = mem::take(&mut self.directories);
        let outcome = self.add_all(directories, optional);
        self.forget(before);
        outcome
    }

    fn add_all(&mut self, directories: &BTreeSet<PathBuf>, optional: bool) -> Result<()> {
        for directory in directories {
            match self.add(directory, self.happening) {
                Err(_) if optional => {}
                outcome => outcome.with_context(|| {
                    let fix = "the user has as many watches as `sysctl fs.inotify.max_user_watches` says, perhaps";
                    format!("the directory {} cannot be watched; {fix}", directory.display())
                })?,
            }
        }
        Ok(())
    }

    /// Ends the watches of before that are none of those of now.
    fn forget(&self, before: BTreeMap<PathBuf, i32>) {
        let gone = before.into_values().collect::<BTreeSet<_>>();
        for watch in gone {
            if self.directories.values().all(|other| *other != watch) {
                // A directory that is removed is not watched any more anyway.
                let _ = inotify::remove_watch(&self.queue, watch);
            }
        }
    }

    /// Two paths may lead to one directory: what is noticed in it is what was asked for last.
    fn add(&mut self, directory: &Path, happening: Happening) -> io::Result<()> {
        let watch = inotify::add_watch(&self.queue, directory, happening.mask())?;
        self.directories.insert(directory.to_owned(), watch);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
