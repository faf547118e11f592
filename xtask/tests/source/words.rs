//! What people read, and what things are called, is in the field's own words: no figures of speech.

use std::path::Path;

use crate::{files, root};

/// The files and folders that are held to it.
const CLEAN: [&str; 10] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "contrib",
    "docs",
    "pinif-ebpf",
    "pinif-userspace",
    "xtask",
];

/// How the names of these files end.
const KINDS: [&str; 5] = ["rs", "md", "toml", "sh", "service"];

/// A word that must not be used, and what to write instead. An identifier's parts, between underscores, are words of their own.
const BANNED: [(&str, &str); 19] = [
    ("tell", "report, say, show, name, distinguish"),
    ("tells", "reports, says, shows, names, distinguishes"),
    ("telling", "reporting, saying, showing"),
    ("told", "reported, said, shown, distinguished"),
    ("mend", "fix; the JSON field is remedy"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("luck", "only because of the current route"),
    ("lucky", "only because of the current route"),
    ("stranger", "another host, a foreign instance"),
    ("strangers", "other hosts, foreign instances"),
    ("astray", "misrouted"),
    ("noted", "recorded, logged"),
    ("departures", "egress stats"),
    ("glance", "flow key"),
    ("recalled", "cached verdict"),
    ("circumstances", "cache inputs"),
    ("memo", "cache entry"),
];

/// Where a word may stand all the same: the file or folder, and the word as it is written there.
const ALLOWED: [(&str, &str); 2] = [
    // A field in the JSON of `pinif doctor`, which is a contract with scripts.
    ("pinif-userspace/src/commands/doctor.rs", "mend"),
    ("xtask/tests/source/words.rs", "*"),
];

fn is_allowed(file: &Path, word: &str) -> bool {
    ALLOWED
        .iter()
        .any(|(place, allowed)| file.starts_with(place) && ["*", word].contains(allowed))
}

/// The words of a line, as they are written.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// What to write instead of a word, where it must not be used.
fn instead(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    BANNED
        .iter()
        .find(|(banned, _)| *banned == word)
        .map(|(_, instead)| *instead)
}

#[test]
fn no_banned_word_is_used() {
    let mut found = Vec::new();
    for place in CLEAN {
        for path in files::below(&root().join(place), &KINDS) {
            let file = path.strip_prefix(root()).expect("a file of ours");
            for (number, line) in files::read(&path).lines().enumerate() {
                for word in words(line).filter(|word| !is_allowed(file, word)) {
                    if let Some(instead) = instead(word) {
                        let place = format!("{}:{}", file.display(), number + 1);
                        found.push(format!("{place}: `{word}`: {instead}"));
                    }
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} banned words:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// A rule that names what is not there would hold nothing.
#[test]
fn what_the_word_rules_name_is_there() {
    for place in CLEAN {
        let path = root().join(place);
        assert!(path.exists(), "{place} is gone");
        assert!(
            !files::below(&path, &KINDS).is_empty(),
            "{place} has no such file"
        );
    }
    for (place, allowed) in ALLOWED {
        let used = files::below(&root().join(place), &KINDS)
            .iter()
            .any(|path| {
                words_of(path)
                    .iter()
                    .any(|word| ["*", word].contains(&allowed))
            });
        assert!(used, "{allowed} is not used in {place}");
    }
}

fn words_of(path: &Path) -> Vec<String> {
    words(&files::read(path)).map(str::to_owned).collect()
}

#[test]
fn parts_of_identifiers_are_words() {
    assert_eq!(
        words("fn is_told(of: Told)").collect::<Vec<_>>(),
        ["fn", "is", "told", "of", "Told"]
    );
    assert!(instead("Told").is_some() && instead("hold").is_none());
}
