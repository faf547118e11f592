//! Files of the operator's that are read again when they change: what distinguishes one state of a file from another, and that something
//! has happened where it is (inotify(7)).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{sync::mpsc, time::timeout};

use super::path_names::PathNames;

/// Editors write in several steps, and several files one after the other: they are read when all has been left alone for this long.
const SETTLED: Duration = Duration::from_millis(100);
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

/// That something has happened in the directories that are watched.
pub(crate) struct Changes(mpsc::UnboundedReceiver<()>);

impl Changes {
    /// Waits until something has; nothing where nobody watches any more.
    pub async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }

    /// Waits until all has been left alone for a moment.
    pub async fn settle(&mut self) {
        let settled = async { while let Ok(Some(())) = timeout(SETTLED, self.0.recv()).await {} };
        let _ = timeout(UNSETTLED, settled).await;
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

    /// Watches what decides where this way leads, and nothing else. It need not be there where it is `optional`. Where what the way leads to
    /// `is_wrong`, all that it passes is watched besides, as far as it can be: it may be so for who can change a directory on it.
    ///
    /// # Errors
    ///
    /// When what decides cannot be watched.
    pub fn look_at(&mut self, way: Way, optional: bool, is_wrong: bool) -> Result<()> {
        self.look_at_all(way.decisive, optional)?;
        if is_wrong {
            self.look_at_more(way.passed);
        }
        Ok(())
    }

    fn look_at_all(&mut self, directories: BTreeSet<PathBuf>, optional: bool) -> Result<()> {
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

    fn look_at_more(&mut self, directories: BTreeSet<PathBuf>) {
        for directory in directories {
            if self
                .watcher
                .watch(&directory, RecursiveMode::NonRecursive)
                .is_ok()
            {
                self.directories.insert(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_link_on_the_way_decides_where_it_leads() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        let at = |name: &str| root.join(name);
        for name in ["v1", "v1/in", "other"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        symlink("../v1/./in", at("other/second")).expect("a link");
        symlink(at("other/second"), at("first")).expect("a link");
        symlink("turns", at("turns")).expect("a link");
        let way = |name: &str| {
            let Way {
                decisive, passed, ..
            } = Way::to(&at(name)).expect("absolute");
            let below = |all: BTreeSet<PathBuf>| {
                let all = all.into_iter();
                let below = all.filter_map(|one| Some(one.strip_prefix(&root).ok()?.to_owned()));
                below.collect::<Vec<_>>()
            };
            (below(decisive), below(passed))
        };
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let all = paths(&["", "other", "v1", "v1/in"]);
        let deciding = paths(&["", "other", "v1/in"]);
        for name in ["first/file", "first/../in/../../first/file"] {
            assert_eq!(way(name), (deciding.clone(), all.clone()), "{name}");
        }
        // What is not there yet comes to be in the last that is.
        assert_eq!(way("v1/none/file"), (paths(&["v1"]), paths(&["", "v1"])));
        assert_eq!(way("turns/file"), (paths(&[""]), paths(&[""])));
        let open = Way::to(Path::new("/proc/self/fd/0")).expect("absolute");
        assert!(open.decisive.is_empty(), "{open:?}");
        let guards = || Way::to(&at("first/file")).expect("absolute").guards();
        let before = guards();
        fs::write(at("v1/in/file"), "").expect("it is ours");
        assert_eq!(guards(), before);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o770);
        fs::set_permissions(at("v1"), mode).expect("it is ours");
        assert_ne!(guards(), before);
    }
}
