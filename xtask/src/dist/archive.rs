//! A directory as a tarball, the same bytes for the same files; and the sums by which all files are checked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::process::{in_words, output, run};

/// A tarball or a package.
#[derive(Debug)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
}

impl Archive {
    /// The one at a path.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn at(path: PathBuf) -> Result<Self> {
        let size = fs::metadata(&path)
            .with_context(|| format!("{} was not made", path.display()))?
            .len();
        Ok(Self { path, size })
    }
}

/// Makes it beside the directory: in the order of the names, as root's, at one date (reproducible-builds.org).
///
/// # Errors
/// Where `tar` or `xz` fails.
pub fn make(directory: &Path, date: u64) -> Result<Archive> {
    let name = directory.file_name().context("the directory has no name")?;
    let parent = directory.parent().context("the directory has no parent")?;
    let plain = PathBuf::from(format!("{}.tar", directory.display()));
    run(Command::new("tar")
        .args(["--sort=name", "--format=ustar", "--owner=0", "--group=0"])
        .args(["--numeric-owner", &format!("--mtime=@{date}")])
        // Directories, too, whatever this user's umask is.
        .arg("--mode=u=rwX,go=rX")
        .arg("-C")
        .arg(parent)
        .arg("-cf")
        .arg(&plain)
        .arg(name))?;
    run(Command::new("xz")
        .args(["--force", "-9", "--threads=1"])
        .arg(&plain))?;
    Archive::at(PathBuf::from(format!("{}.xz", plain.display())))
}

/// Writes `SHA256SUMS`, for `sha256sum --check`.
///
/// # Errors
/// Where `sha256sum` fails, or the file cannot be written.
pub fn write_sums(directory: &Path, archives: &[Archive]) -> Result<PathBuf> {
    let mut sums = Command::new("sha256sum");
    sums.current_dir(directory);
    sums.args(
        archives
            .iter()
            .filter_map(|archive| archive.path.file_name()),
    );
    let Some(text) = output(&mut sums) else {
        bail!("`{}` failed", in_words(&sums));
    };
    let path = directory.join("SHA256SUMS");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
