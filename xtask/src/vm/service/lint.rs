//! lintian, which says what of Debian's policy a package breaks: of Debian's packages, unpacked and never installed, in a root directory
//! of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::root;
use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::as_root,
    workspace::Workspace,
};

/// lintian, and what each Debian has, of which it says nothing.
const PACKAGES: [&str; 10] = [
    "lintian",
    "base-files",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "gzip",
    "libc-bin",
    "sed",
    "tar",
];

/// Finds it in `target/vm/lintian`, or brings it there.
///
/// # Errors
/// Where apt cannot download its packages, or they cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("vm/lintian");
    if !directory.join("usr/bin/lintian").exists() {
        Apt::new(workspace, Architecture::Own)?.unpack(
            &PACKAGES,
            Extent::OfRelease,
            &directory,
            complete,
        )?;
    }
    Ok(directory)
}

/// Does what Debian does when it installs.
fn complete(directory: &Path) -> Result<()> {
    root::merge(directory)?;
    for name in ["dev", "tmp"] {
        fs::create_dir_all(directory.join(name))?;
    }
    fs::write(directory.join("dev/null"), "")?;
    symlink("debian", directory.join("etc/dpkg/origins/default"))?;
    Ok(())
}

/// What it complains of. Nothing, where there is no error.
///
/// # Errors
/// Where it does not run.
pub fn complaints(lintian: &Path, package: &Path) -> Result<Option<String>> {
    let name = package.file_name().context("a package has a name")?;
    let inside = lintian.join("tmp").join(name);
    fs::copy(package, &inside).with_context(|| format!("cannot write {}", inside.display()))?;
    let mut chroot: Command = as_root("/usr/sbin/chroot", "lintian")?;
    let output = chroot
        .arg(lintian)
        .args(["/usr/bin/env", "-i", "PATH=/usr/bin:/usr/sbin"])
        .args(["LC_ALL=C.UTF-8", "lintian", "--allow-root"])
        .args(["--profile", "debian", "--fail-on", "error"])
        .arg(Path::new("/tmp").join(name))
        .output()
        .context("lintian does not start")?;
    fs::remove_file(inside)?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Some(String::from_utf8_lossy(&said).trim().to_owned()))
}
