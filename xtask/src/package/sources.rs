//! A copy of the sources, with what a crate has besides: the eBPF objects, and the licences. In the sources themselves the objects would be
//! taken for the newest ones from then on.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{build, process::output_bytes, workspace::Workspace};

/// The folders of the crates.
const FOLDERS: [&str; 3] = ["pinif-ebpf", "pinif-userspace", "pinif-userspace/lab"];
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Copies every file that git knows or would take.
///
/// # Errors
/// Where git fails, or a file cannot be copied.
pub(super) fn copy(workspace: &Workspace, to: &Path) -> Result<()> {
    // What is gone from the sources is to be gone here.
    let _none = fs::remove_dir_all(to);
    let listed = output_bytes(Command::new("git").current_dir(&workspace.root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let names = listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    for name in names.map(OsStr::from_bytes) {
        one(&workspace.root.join(name), &to.join(name))
            .with_context(|| format!("{} cannot be copied", name.display()))?;
    }
    for folder in FOLDERS {
        for licence in LICENCES {
            one(
                &workspace.root.join(licence),
                &to.join(folder).join(licence),
            )?;
        }
    }
    for object in build::objects(workspace) {
        let name = object.file_name().context("a file has a name")?;
        one(&object, &to.join("pinif-userspace/objects").join(name))
            .with_context(|| format!("{} cannot be copied", object.display()))?;
    }
    Ok(())
}

/// Copies a file, or a symbolic link as one.
fn one(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::symlink_metadata(from) {
        Ok(metadata) if metadata.is_symlink() => symlink(fs::read_link(from)?, to),
        Ok(_) => fs::copy(from, to).map(drop),
        // It was removed, which git does not know yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
