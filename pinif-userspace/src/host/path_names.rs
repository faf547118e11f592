//! A path, name after name, with each link on it replaced by what it leads to (path_resolution(7)). Who walks it looks at each name.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::{Component, Path},
};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What is to be walked yet. The root is a name of its own.
#[derive(Debug, Default)]
pub(crate) struct PathNames {
    names: VecDeque<OsString>,
    /// How many links there were. Those of a circle are counted each time.
    links: usize,
}

impl PathNames {
    /// Those of an absolute path.
    pub fn of(path: &Path) -> Self {
        let mut names = Self::default();
        names.put_first(path);
        names
    }

    /// The next one.
    pub fn next(&mut self) -> Option<OsString> {
        self.names.pop_front()
    }

    /// Whether there is none any more.
    pub fn are_done(&self) -> bool {
        self.names.is_empty()
    }

    /// Has the path be walked that the link leads to which came last; whether it is not one too many.
    pub fn follow(&mut self, target: &Path) -> bool {
        self.links += 1;
        if self.links > MOST_LINKS {
            return false;
        }
        self.put_first(target);
        true
    }

    fn put_first(&mut self, path: &Path) {
        for component in path.components().rev() {
            if component != Component::CurDir {
                self.names.push_front(component.as_os_str().to_owned());
            }
        }
    }
}
