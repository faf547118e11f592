//! Files and marked blocks that the tests keep as the code makes them.
use std::fs;
use std::path::{Path, PathBuf};

/// Rewrites what differs when this variable is set, instead of failing.
const UPDATE: &str = "PINIF_UPDATE_DOCS";

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The file, from the repository's root.
pub fn read(path: &str) -> String {
    fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The file is what the code makes.
#[track_caller]
pub fn file(path: &str, made: &str) {
    let kept = fs::read_to_string(at(path)).unwrap_or_default();
    settle(path, &kept, made);
}

/// Each block after `<!-- made by tests/service/output: NAME -->` is what the code makes.
#[track_caller]
pub fn blocks(path: &str, made: &[(&str, &str)]) {
    let kept = read(path);
    let mut new = kept.clone();
    for (name, text) in made {
        let mark = format!("<!-- made by tests/service/output: {name} -->\n```");
        let start = new
            .find(&mark)
            .unwrap_or_else(|| panic!("{path} has a block named {name}"))
            + mark.len();
        let start = start + new[start..].find('\n').expect("the fence ends") + 1;
        // From the newline of the fence on, for the block may be empty.
        let end = start + new[start - 1..].find("\n```").expect("the block ends");
        new.replace_range(start..end, text);
    }
    assert_eq!(
        new.matches("made by tests/service/output").count(),
        made.len(),
        "{path} has blocks that no test makes"
    );
    settle(path, &kept, &new);
}

#[track_caller]
fn settle(path: &str, kept: &str, made: &str) {
    if kept != made && std::env::var_os(UPDATE).is_some() {
        fs::write(at(path), made).expect("the file can be written");
    } else {
        assert!(
            kept == made,
            "{path} is not what the code makes. This test writes it with {UPDATE}=1:\n{made}"
        );
    }
}
