//! The program that made the socket.

use std::{collections::HashMap, path::PathBuf};

use pinif_ebpf::policy::{Active, RuleSet, Slot, dimension};

use super::{
    cache_input::CacheInput,
    definition::{Dimension, LookUp, LookUpFile},
    values::{all_below, plain_absolute},
};
use crate::policy::{
    file_id::FileId,
    key::{Key, Takes, key},
    problem::{Flaw, quoted},
    raw::Scalar,
    trie::table,
};

/// The program of the socket.
#[derive(Debug)]
pub struct Executable;

impl Dimension for Executable {
    type Value = PathBuf;
    type Table = Vec<(PathBuf, RuleSet)>;
    type Answers = HashMap<FileId, RuleSet>;

    const KEY: Key = key(
        "executable",
        Takes::Texts,
        r#"["/usr/sbin/fabd"]"#,
        "The program that made the socket: an absolute path.",
    );
    const OTHER_NAMES: &'static [&'static str] = &["exe"];
    const MOST: usize = 8000;
    const BIT: u32 = dimension::EXECUTABLE;
    const CACHE: CacheInput = CacheInput::Owner;

    fn parse(value: &Scalar, _: LookUp<'_>) -> Result<Self::Value, Flaw> {
        executable(&value.as_text())
    }

    fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool {
        all_below(outer, inner, |one| [one])
    }

    fn compile(wanted: &[Vec<Self::Value>], _: Slot) -> (RuleSet, Self::Table) {
        let (any, table) = table(wanted);
        (any, table.into_iter().collect())
    }

    fn is_unused(table: &Self::Table) -> bool {
        table.is_empty()
    }

    fn any(active: &mut Active) -> &mut RuleSet {
        &mut active.any_executable
    }

    fn answers(table: &Self::Table, file: &LookUpFile<'_>) -> Self::Answers {
        let mut answers: HashMap<_, RuleSet> = HashMap::new();
        // Two paths of one file answer with the union of their sets.
        for (path, rules) in table {
            if let Some(file) = file(path) {
                let all = answers.entry(file).or_default();
                *all = all.union(*rules);
            }
        }
        answers
    }
}

/// The absolute path of a program.
fn executable(text: &str) -> Result<PathBuf, Flaw> {
    let flaw = || Flaw::new(format!("{} is not the path of a program", quoted(text)));
    if text.contains(['*', '?']) {
        return Err(flaw().fix("programs are matched by their whole path: list each one"));
    }
    if plain_absolute(text) {
        Ok(PathBuf::from(text))
    } else {
        Err(flaw().fix("write the absolute path, as in `/usr/sbin/fabd`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        assert_eq!(executable("/usr/bin/["), Ok(PathBuf::from("/usr/bin/[")));
        for bad in ["", "a", "//", "/a//b", "/a/../b", "/./a", "/a\u{1b}"] {
            assert!(executable(bad).is_err(), "{bad}");
        }
        assert!(executable("/usr/bin/").is_err());
        assert!(executable("/usr/bin/*").is_err());
    }
}
