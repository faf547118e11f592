//! What is in a tarball, as a directory.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    licences, makers, metadata, sbom,
    write::{copy, write},
};
use crate::{process::run, target::Target, workspace::Workspace};

/// The workspace's files that are in it as they are.
const FILES: [&str; 16] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "CHANGELOG.md",
    "contrib/90-pinif.rules",
    "contrib/grafana/pinif-dashboard.json",
    "contrib/journal/pinif.catalog",
    "contrib/pinif-pin-refresh@.service",
    "contrib/pinif-serve.service",
    "contrib/pinif.service",
    "contrib/pinif.toml",
    "contrib/prometheus/pinif-metrics.service",
    "contrib/prometheus/pinif-metrics.timer",
    "contrib/prometheus/pinif.rules.yml",
    "contrib/wireshark/pinif.lua",
    "docs/policy.example.toml",
    "docs/schema/pinif-policy.schema.json",
];

/// How it is installed by hand.
const INSTALL: &str = include_str!("install.md");

/// Makes the directory anew.
///
/// # Errors
/// Where something cannot be built, read or written.
pub fn stage(
    workspace: &Workspace,
    tree: &Path,
    target: Target,
    binary: &Path,
    date: u64,
) -> Result<()> {
    let metadata = metadata::of(workspace, target.name())?;
    stage_but_list(workspace, tree, binary, &metadata)?;
    let list = sbom::of(workspace, target.name(), &metadata, date)?;
    write(&tree.join("pinif.cdx.json"), &list, 0o644)
}

/// The same without the list of what is in the binary, whose maker takes minutes to build.
///
/// # Errors
/// As [`stage`].
pub fn stage_but_list(
    workspace: &Workspace,
    tree: &Path,
    binary: &Path,
    metadata: &Value,
) -> Result<()> {
    // What an earlier run left, of which something may have another name now.
    let _none = fs::remove_dir_all(tree);
    copy(binary, &tree.join("pinif"), 0o755)?;
    for file in FILES {
        let path = workspace.root.join(file);
        let name = path.file_name().context("a file has a name")?;
        copy(&path, &tree.join(name), 0o644)?;
    }
    write(&tree.join("INSTALL.md"), INSTALL, 0o644)?;
    let licences = licences::of(metadata)?;
    write(&tree.join("LICENSES-OF-DEPENDENCIES.txt"), &licences, 0o644)?;
    write_pages(workspace, tree)
}

/// The manual pages, the completions and a policy to begin with.
fn write_pages(workspace: &Workspace, tree: &Path) -> Result<()> {
    run(makers::maker(workspace, makers::PAGES).arg(tree))
        .context("the manual pages could not be made")
}
