//! The root file system: systemd and what it needs, of Debian's packages, unpacked and never installed.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::run,
    workspace::Workspace,
};

/// systemd itself, what carries its journal to another host, what makes the network, what loads the kernel's modules, what learns of interfaces; and what installs packages of
/// both kinds, with what theirs are in need of; and what makes certificates, and a collector that wants TLS.
const PACKAGES: [&str; 11] = [
    "systemd",
    "systemd-journal-remote",
    "iproute2",
    "kmod",
    "udev",
    "dpkg",
    "init-system-helpers",
    "perl-base",
    "rpm",
    "openssl",
    "socat",
];
/// A file of each of those that came to it last: an older directory lacks one.
const LAST: [&str; 5] = [
    "usr/bin/rpm",
    "usr/bin/deb-systemd-helper",
    "usr/bin/udevadm",
    "usr/lib/systemd/systemd-journal-upload",
    "usr/bin/socat",
];
/// Directories that Debian has as links into `/usr`; the packages of older releases have files in both.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// What nothing in the machine reads, below `/usr`.
const UNREAD: [&str; 9] = [
    "share/doc",
    "share/info",
    "share/locale",
    "share/man",
    // All of Perl but what its smallest package has.
    "share/perl",
    "lib/x86_64-linux-gnu/perl",
    "lib/file",
    "lib/udev/hwdb.d",
    "share/X11",
];

/// Finds the root file system in `target/vm/systemd`, or brings it there.
///
/// # Errors
/// Where apt cannot download its packages, or they cannot be unpacked.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("vm/systemd");
    let systemd = directory.join("usr/lib/systemd/systemd");
    let is_there = |path: &&str| directory.join(path).is_file();
    if !systemd.is_file() || !LAST.iter().all(is_there) {
        Apt::new(workspace, Architecture::Own)?.unpack(
            &PACKAGES,
            Extent::OfRelease,
            &directory,
            complete,
        )?;
        fs::metadata(&systemd)
            .with_context(|| format!("{} was not unpacked", systemd.display()))?;
    }
    Ok(directory)
}

/// Completes the file system, without what the machine has no need of.
fn complete(root: &Path) -> Result<()> {
    merge(root)?;
    for name in UNREAD {
        match fs::remove_dir_all(root.join("usr").join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Does what Debian does when it installs: the packages are one tree below `/usr`.
///
/// # Errors
/// Where a file cannot be moved.
pub fn merge(root: &Path) -> Result<()> {
    for name in MERGED {
        let (split, merged) = (root.join(name), root.join("usr").join(name));
        if split.is_dir() && !split.is_symlink() {
            fs::create_dir_all(&merged)?;
            run(Command::new("cp")
                .arg("-a")
                .arg(split.join("."))
                .arg(&merged))?;
            fs::remove_dir_all(&split)?;
        }
        if merged.is_dir() && !split.is_symlink() {
            symlink(Path::new("usr").join(name), &split)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_usr_is_moved_into_it() {
        let root = std::env::temp_dir().join(format!("pinif-xtask-root-{}", std::process::id()));
        for file in ["bin/ip", "usr/bin/tool", "usr/share/doc/ip/copyright"] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            fs::write(file, "").expect("a file");
        }
        complete(&root).expect("it is ours");
        complete(&root).expect("it is complete");
        let is = |path: &str| root.join(path).exists();
        let found = ["bin/ip", "usr/bin/ip", "bin/tool", "usr/share/doc", "lib64"].map(is);
        fs::remove_dir_all(&root).expect("clean-up");
        assert_eq!(found, [true, true, true, false, false]);
    }
}
