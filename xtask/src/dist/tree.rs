//! What is in a tarball, as a directory.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{licences, metadata, sbom};
use crate::{process::run_cargo, target::Target, test::CHECKED, workspace::Workspace};

/// The workspace's files that are in it as they are.
const FILES: [&str; 4] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "CHANGELOG.md",
    "contrib/pinif.service",
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
    // What an earlier run left, of which something may have another name now.
    let _none = fs::remove_dir_all(tree);
    fs::create_dir_all(tree).with_context(|| format!("cannot make {}", tree.display()))?;
    let copy = |from: &Path, name: &str, mode: u32| -> Result<()> {
        let to = tree.join(name);
        fs::copy(from, &to)
            .and_then(|_| fs::set_permissions(&to, Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", to.display()))
    };
    copy(binary, "pinif", 0o755)?;
    for file in FILES {
        let path = workspace.root.join(file);
        let name = path.file_name().context("a file has a name")?;
        copy(&path, &name.to_string_lossy(), 0o644)?;
    }
    let write = |name: &str, text: &str| {
        let to = tree.join(name);
        fs::write(&to, text)
            .and_then(|()| fs::set_permissions(&to, Permissions::from_mode(0o644)))
            .with_context(|| format!("cannot write {}", to.display()))
    };
    let metadata = metadata::of(workspace, target.name())?;
    write("INSTALL.md", INSTALL)?;
    write("LICENSES-OF-DEPENDENCIES.txt", &licences::of(&metadata)?)?;
    write(
        "pinif.cdx.json",
        &sbom::of(workspace, target.name(), &metadata, date)?,
    )?;
    write_pages(workspace, tree)
}

/// The manual pages, the completions and a policy to begin with.
fn write_pages(workspace: &Workspace, tree: &Path) -> Result<()> {
    let mut cargo: Command = workspace.cargo();
    cargo
        .args([
            "run",
            "--quiet",
            "--package",
            "pinif-pages",
            "--profile",
            CHECKED,
        ])
        // The programs are not run.
        .env("PINIF_WITHOUT_PROGRAMS", "1")
        .arg("--")
        .arg(tree);
    run_cargo(&mut cargo).context("the manual pages could not be made")
}
