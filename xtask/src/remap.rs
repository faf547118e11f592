//! Paths of this machine do not go into what is built: two machines build the same.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::workspace::Workspace;

/// The compiler's flags that write this workspace, and the packages that cargo downloaded, by other names.
pub fn flags(workspace: &Workspace) -> Vec<String> {
    let sources = cargo_home().map(|home| home.join("registry/src"));
    let registries = sources
        .and_then(|sources| fs::read_dir(sources).ok())
        .into_iter()
        .flatten()
        .filter_map(|registry| Some((registry.ok()?.path(), "/cargo")));
    // A registry's directory is named after its host.
    let mut all: Vec<_> = registries.map(|(path, to)| flag(&path, to)).collect();
    all.push(flag(&workspace.root, "/pinif"));
    all.sort();
    all
}

fn flag(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Where cargo keeps what it downloads.
fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}
