//! What a policy names by a path: cgroups and programs. Either may be made anew under the same path, by a restart or an upgrade; the
//! rule follows it, and what had the path before stays its own: a process may still run it.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Result;
use pinif_ebpf::policy::{CgroupKey, ExecutableKey, RuleSet, Slot};

use crate::{
    host::{cgroups, executables::Mounts},
    policy::Policy,
};

/// How many of what had a path before are remembered.
const FORMER: usize = 8;

/// A name in the policy that means nothing on this host now: its rule matches nothing until there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// What is not there, with its kind: `cgroup /a`, `executable /b`.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What a policy names by a path, and is not there.
///
/// # Errors
///
/// When it names a cgroup, and there is no hierarchy.
pub fn unresolved(policy: &Policy) -> Result<Vec<Unresolved>> {
    let rules = || policy.rules.iter();
    let none = RuleSet::EMPTY;
    let cgroups = rules().flat_map(|rule| rule.cgroups.iter().cloned());
    let executables = rules().flat_map(|rule| rule.executables.iter());
    let accepted = policy.accepts.iter();
    let accepted = accepted.flat_map(|accept| accept.executables.iter());
    let executables = executables.chain(accepted).cloned();
    let (_, unresolved) = Named::look_up(
        cgroups.map(|path| (path, none)),
        executables.map(|path| (path, none)),
    )?;
    Ok(unresolved)
}

/// All that a policy names by a path.
#[derive(Default)]
pub struct Named {
    cgroups: BTreeMap<PathBuf, Known<u64, ()>>,
    executables: BTreeMap<PathBuf, Known<(u64, u64), Program>>,
}

/// What has, or had, a path.
struct Known<Id, Held> {
    rules: RuleSet,
    /// The newest last; what keeps its number from being given to another.
    ids: VecDeque<(Id, Held)>,
}

/// A program's file.
struct Program {
    /// Its inode is not another file's as long as this is open.
    _file: File,
    /// What stat(2) says of it.
    seen: (u64, u64),
}

impl<Id: PartialEq, Held> Known<Id, Held> {
    fn of(rules: RuleSet) -> Self {
        Self {
            rules,
            ids: VecDeque::new(),
        }
    }

    fn newest(&self) -> Option<&(Id, Held)> {
        self.ids.back()
    }

    fn put(&mut self, id: Id, held: Held) {
        self.ids.retain(|(known, _)| *known != id);
        self.ids.push_back((id, held));
        if self.ids.len() > FORMER + 1 {
            self.ids.pop_front();
        }
    }
}

impl Named {
    /// Looks up cgroups, by their paths from the root of the hierarchy, and programs, each with the rules that name it.
    ///
    /// # Errors
    ///
    /// When there is no hierarchy.
    pub(super) fn look_up(
        cgroups: impl IntoIterator<Item = (String, RuleSet)>,
        executables: impl IntoIterator<Item = (PathBuf, RuleSet)>,
    ) -> Result<(Self, Vec<Unresolved>)> {
        let mut named = Self::default();
        let mut root = None;
        for (path, rules) in cgroups {
            let root = match &root {
                Some(root) => root,
                None => root.insert(cgroups::cgroup2_root()?),
            };
            let path = root.join(path.trim_start_matches('/'));
            named.cgroups.insert(path, Known::of(rules));
        }
        for (path, rules) in executables {
            named.executables.insert(path, Known::of(rules));
        }
        let root = root.unwrap_or_default();
        let mut unresolved = Vec::new();
        named.look(|what, path, outcome| {
            if let Err(error) = outcome {
                let shown = match path.strip_prefix(&root) {
                    Ok(below) if what == CGROUP => Path::new("/").join(below),
                    _ => path.to_owned(),
                };
                unresolved.push(Unresolved {
                    what: format!("{what} {}", shown.display()),
                    why: error.to_string(),
                });
            }
        });
        Ok((named, unresolved))
    }

    /// Looks up programs that no rule names.
    ///
    /// # Errors
    ///
    /// When nothing can be looked up.
    pub fn of_programs(
        executables: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(Self, Vec<Unresolved>)> {
        let executables = executables.into_iter();
        Self::look_up([], executables.map(|path| (path, RuleSet::EMPTY)))
    }

    /// Whether a path is, or was, that of a program's file, by its device and inode.
    pub fn is_program(&self, path: &Path, device: u32, inode: u64) -> bool {
        let known = self.executables.get(path);
        known.is_some_and(|known| {
            let mut ids = known.ids.iter();
            ids.any(|((of, number), _)| (*of as u32, *number) == (device, inode))
        })
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.cgroups.keys().chain(self.executables.keys())
    }

    /// Looks all up again, and gives what another has the path of by now. What is gone keeps what it had.
    pub fn look_again(&mut self) -> Vec<String> {
        let mut new = Vec::new();
        self.look(|what, path, outcome| {
            if matches!(outcome, Ok(true)) {
                new.push(format!("{what} {}", path.display()));
            }
        });
        new
    }

    /// Looks each up: whether it is another than before.
    fn look(&mut self, mut found: impl FnMut(&str, &Path, io::Result<bool>)) {
        for (path, known) in &mut self.cgroups {
            let outcome = cgroups::cgroup_id(path).map(|id| {
                let is_new = known.newest().is_none_or(|(newest, ())| *newest != id);
                if is_new {
                    known.put(id, ());
                }
                is_new
            });
            found(CGROUP, path, outcome);
        }
        let mounts = LazyCell::new(Mounts::here);
        for (path, known) in &mut self.executables {
            let outcome = fs::metadata(path).and_then(|metadata| {
                let seen = (metadata.dev(), metadata.ino());
                if known
                    .newest()
                    .is_some_and(|(_, newest)| newest.seen == seen)
                {
                    return Ok(false);
                }
                let (file, id) = mounts.opened(path)?;
                let is_new = known.newest().is_none_or(|(newest, _)| *newest != id);
                known.put(id, Program { _file: file, seen });
                Ok(is_new)
            });
            found("executable", path, outcome);
        }
    }

    /// The entries of the kernel's table of cgroups.
    pub(super) fn cgroups(&self, slot: Slot) -> impl Iterator<Item = (CgroupKey, RuleSet)> {
        let key = move |cgroup| CgroupKey {
            cgroup,
            slot,
            _pad: 0,
        };
        united(&self.cgroups)
            .into_iter()
            .map(move |(id, rules)| (key(id), rules))
    }

    /// The entries of the kernel's table of programs.
    pub(super) fn executables(&self, slot: Slot) -> impl Iterator<Item = (ExecutableKey, RuleSet)> {
        let key = move |(device, inode): (u64, u64)| ExecutableKey {
            inode,
            device: device as u32,
            slot,
        };
        united(&self.executables)
            .into_iter()
            .map(move |(id, rules)| (key(id), rules))
    }
}

const CGROUP: &str = "cgroup";

/// Each of what has, or had, one of the paths, with the rules of all paths that it has or had.
fn united<Id: Copy + Ord, Held>(
    known: &BTreeMap<PathBuf, Known<Id, Held>>,
) -> BTreeMap<Id, RuleSet> {
    let mut united: BTreeMap<Id, RuleSet> = BTreeMap::new();
    for known in known.values() {
        for (id, _) in &known.ids {
            let all = united.entry(*id).or_default();
            *all = all.union(known.rules);
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(number: usize) -> RuleSet {
        let mut set = RuleSet::EMPTY;
        set.insert(number);
        set
    }

    #[test]
    fn a_program_that_is_replaced_is_followed_and_the_one_before_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fabd");
        let named = || [(path.clone(), rule(1))];
        let (mut all, unresolved) = Named::look_up([], named()).expect("no cgroup is named");
        assert_eq!(unresolved.len(), 1, "it is not there yet");
        assert_eq!(all.executables(0).count(), 0);
        for number in 1..=FORMER + 3 {
            let new = directory.path().join("new");
            fs::write(&new, "").expect("a file");
            fs::rename(&new, &path).expect("in its place");
            assert_eq!(all.look_again(), [format!("executable {}", path.display())]);
            assert!(all.look_again().is_empty(), "it is the same");
            // The files that are held keep their inodes: no number comes twice.
            assert_eq!(all.executables(0).count(), number.min(FORMER + 1));
        }
        fs::remove_file(&path).expect("it is there");
        assert!(all.look_again().is_empty());
        assert_eq!(all.executables(0).count(), FORMER + 1);
    }

    #[test]
    fn a_file_of_two_names_has_the_rules_of_both() {
        let directory = tempfile::tempdir().expect("a directory");
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        fs::write(&one, "").expect("a file");
        fs::hard_link(&one, &other).expect("a link");
        let named = [(one, rule(1)), (other, rule(2))];
        let (all, unresolved) = Named::look_up([], named).expect("no cgroup is named");
        assert_eq!(unresolved, []);
        let entries: Vec<_> = all.executables(0).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].1, rule(1).union(rule(2)));
    }
}
