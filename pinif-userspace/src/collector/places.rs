//! Where something may happen that a path leads to: the programs and cgroups that the policy names, the audited cgroup, and what is pinned. No call
//! of bpf(2) is needed to remove or replace these, so their directories are watched (inotify(7)).

use std::{
    collections::BTreeSet,
    future,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::host::file_watch::{Changes, Happening, Watch, Way};

/// The directories that are watched.
#[derive(Default)]
pub(super) struct Places {
    watched: Option<Watched>,
    /// Something has happened in them since they were looked at.
    has_changed: bool,
    failure: Option<String>,
}

struct Watched {
    watch: Watch,
    changes: Changes,
    directories: BTreeSet<PathBuf>,
}

impl Places {
    /// Watches all that decides what these paths lead to, and nothing else. What is read of them after that is what there is, or the next
    /// change is reported.
    pub(super) fn follow(&mut self, paths: &[PathBuf]) {
        if paths.is_empty() {
            *self = Self::default();
            return;
        }
        let followed = self.try_follow(paths);
        self.failure = followed
            .err()
            .map(|error| format!("paths cannot be watched: {error:#}"));
    }

    fn try_follow(&mut self, paths: &[PathBuf]) -> Result<()> {
        let directories = on_the_way(paths)?;
        let watched = match &mut self.watched {
            Some(watched) => watched,
            none => {
                let (watch, changes) = Watch::new(Happening::Names)?;
                none.insert(Watched {
                    watch,
                    changes,
                    directories: BTreeSet::new(),
                })
            }
        };
        watched.changes.drain();
        // One that was removed and made again is another directory under the same name.
        if watched.directories != directories || self.has_changed {
            watched.directories.clear();
            watched.watch.look_at_all(&directories, false)?;
            anyhow::ensure!(
                on_the_way(paths)? == directories,
                "what is on the way to one has changed meanwhile"
            );
            watched.directories = directories;
        }
        self.has_changed = false;
        Ok(())
    }

    /// Why changes may go unnoticed, if they may.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Waits until something has happened for the first time since they were followed. Safe to cancel.
    pub(super) async fn next(&mut self) {
        match &mut self.watched {
            Some(watched) if !self.has_changed => {
                if watched.changes.next().await.is_none() {
                    self.failure = Some("paths are not watched any more".to_owned());
                }
                self.has_changed = true;
            }
            _ => future::pending().await,
        }
    }
}

/// All directories by which these paths lead: who renames one of them has a path lead elsewhere.
fn on_the_way(paths: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut directories = BTreeSet::new();
    for path in paths {
        let Way {
            decisive, passed, ..
        } = Way::to(path).with_context(|| no_absolute(path))?;
        directories.extend(decisive);
        directories.extend(passed);
    }
    Ok(directories)
}

fn no_absolute(path: &Path) -> String {
    format!("the path {} cannot be made absolute", path.display())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::time::timeout;

    use super::*;

    async fn has_changed(places: &mut Places) {
        let changed = timeout(Duration::from_secs(30), places.next()).await;
        changed.expect("it is reported");
    }

    #[tokio::test]
    async fn what_a_path_leads_to_is_watched_whoever_on_the_way_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("app/bin")).expect("folders");
        fs::write(at("app/bin/fabd"), "").expect("a file");
        let paths = [at("app/bin/fabd")];
        let mut places = Places::default();
        places.follow(&paths);
        assert_eq!(places.failure(), None);
        fs::write(at("app/bin/new"), "").expect("a file");
        fs::rename(at("app/bin/new"), at("app/bin/fabd")).expect("in its place");
        has_changed(&mut places).await;
        places.follow(&paths);
        fs::rename(at("app"), at("before")).expect("it is ours");
        has_changed(&mut places).await;
        places.follow(&paths);
        fs::create_dir_all(at("app/bin")).expect("folders");
        has_changed(&mut places).await;
        places.follow(&paths);
        fs::write(at("app/bin/fabd"), "").expect("a file");
        has_changed(&mut places).await;
        assert_eq!(places.failure(), None);
    }

    #[tokio::test]
    async fn no_path_takes_no_watch() {
        let mut places = Places::default();
        places.follow(&[PathBuf::from("/none")]);
        assert!(places.watched.is_some());
        places.follow(&[]);
        assert!(places.watched.is_none() && places.failure().is_none());
    }
}
