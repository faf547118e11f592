//! The files of the repository, by their ends.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what was built, and git's own.
const NOT_SOURCES: [&str; 2] = ["target", ".git"];

/// The files below `start` whose names end in one of `extensions`, in order. A `start` that is a file is itself one of them.
pub fn below(start: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(start, extensions, &mut files);
    files.sort();
    files
}

fn collect(path: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries =
            fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for entry in entries {
            let path = entry.expect("an entry").path();
            if !NOT_SOURCES.iter().any(|name| path.ends_with(name)) {
                collect(&path, extensions, files);
            }
        }
    } else {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| extensions.contains(&extension)) {
            files.push(path.to_owned());
        }
    }
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
