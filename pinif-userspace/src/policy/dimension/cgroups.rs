//! The cgroup that the socket was made in.

use std::collections::BTreeMap;

use pinif_ebpf::policy::{Active, RuleSet, Slot, dimension};

use super::{
    cache_input::CacheInput,
    definition::{Dimension, LookUp, LookUpFile},
    values::{all_below, plain_absolute},
};
use crate::policy::{
    key::{Key, Takes, key},
    problem::{Flaw, quoted},
    raw::Scalar,
    trie::wanted as wanted_paths,
};

/// The cgroup of the socket, or one above it.
#[derive(Debug)]
pub struct Cgroup;

impl Dimension for Cgroup {
    type Value = String;
    type Table = Cgroups;
    type Answers = Cgroups;

    const KEY: Key = key(
        "cgroup",
        Takes::Texts,
        r#"["/system.slice/fabd.service"]"#,
        "The cgroup that the socket was made in, or one above it: a path in the v2 hierarchy.",
    );
    const OTHER_NAMES: &'static [&'static str] = &[];
    const MOST: usize = 8000;
    const BIT: u32 = dimension::CGROUP;
    const CACHE: CacheInput = CacheInput::Owner;

    fn parse(value: &Scalar, _: LookUp<'_>) -> Result<Self::Value, Flaw> {
        cgroup(&value.as_text())
    }

    fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool {
        all_below(texts(outer), texts(inner), above)
    }

    fn compile(wanted: &[Vec<Self::Value>], _: Slot) -> (RuleSet, Self::Table) {
        let cgroups = cgroups(wanted);
        (cgroups.any, cgroups)
    }

    fn is_unused(table: &Self::Table) -> bool {
        table.named.is_empty()
    }

    fn any(active: &mut Active) -> &mut RuleSet {
        &mut active.any_cgroup
    }

    fn answers(table: &Self::Table, _: &LookUpFile<'_>) -> Self::Answers {
        table.clone()
    }
}

/// The rules for cgroups: each path answers for itself and all below it, except where a longer path does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// The set for processes in none of the cgroups.
    pub any: RuleSet,
    /// The cgroups that the policy names.
    pub named: BTreeMap<String, RuleSet>,
}

impl Cgroups {
    /// The rules for processes in the cgroup at this path of the v2 hierarchy.
    pub fn rules_of(&self, path: &str) -> RuleSet {
        above(path)
            .find_map(|path| self.named.get(path).copied())
            .unwrap_or(self.any)
    }
}

/// A cgroup of the v2 hierarchy, as `/proc/PID/cgroup` has it behind `0::`, without a final `/`.
fn cgroup(text: &str) -> Result<String, Flaw> {
    let flaw = || Flaw::new(format!("{} is not the path of a cgroup", quoted(text)));
    if let Some(below) = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .iter()
        .find_map(|mount| text.strip_prefix(mount))
    {
        let below = if below.is_empty() { "/" } else { below };
        return Err(flaw().fix(format!(
            "leave out where the hierarchy is mounted: write {}",
            quoted(below)
        )));
    }
    let fix = "write it as the line `0::` of `/proc/PID/cgroup` has it, as in `/system.slice/fabd.service`";
    if text == "/" {
        return Ok(text.to_owned());
    }
    let path = text.strip_suffix('/').unwrap_or(text);
    if plain_absolute(path) {
        Ok(path.to_owned())
    } else {
        Err(flaw().fix(fix))
    }
}

fn cgroups(paths: &[Vec<String>]) -> Cgroups {
    let (any, own) = wanted_paths(paths);
    let inherited = |path: &str| {
        above(path)
            .filter_map(|path| own.get(path))
            .fold(any, |all, rules| all.union(*rules))
    };
    let named = own
        .keys()
        .map(|path| (path.clone(), inherited(path)))
        .collect();
    Cgroups { any, named }
}

/// The path and all above it, `/` last.
fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(0) | None => None,
        Some(slash) => Some(&path[..slash]),
    })
}

fn texts(paths: &[String]) -> impl Iterator<Item = &str> {
    paths.iter().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        assert_eq!(cgroup("/"), Ok("/".to_owned()));
        assert_eq!(
            cgroup("/system.slice/fabd.service/"),
            Ok("/system.slice/fabd.service".to_owned())
        );
        for bad in ["", "a", "//", "/a//b", "/a/../b", "/./a", "/a\u{1b}"] {
            assert!(cgroup(bad).is_err(), "{bad}");
        }
        assert!(cgroup("/sys/fs/cgroup/unified/system.slice").is_err());
    }
}
