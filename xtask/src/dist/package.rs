//! Packages: what is in a tarball, at the places that a distribution has for it.
//!
//! The Debian package and the RPM are made from one list, so that they differ only where their distributions do.

pub mod deb;
mod layout;
pub mod rpm;
mod unit;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::write::{copy, write};
use crate::{process::run, target::Target, workspace::Workspace};

/// What the packages say that pinif is.
const SUMMARY: &str = "audits where packets really leave";
const DESCRIPTION: &str = "\
Compares, for each packet, the device that its socket is bound to and the
operator's policy with the interface that the packet leaves by, and reports
who, what, where, why, and how to fix it. For cards in a chassis, whose
control traffic must stay on the backplane, and for any host with a
management network, a storage network or a VPN.

The service audits and drops nothing until /etc/pinif/pinif.toml says so.";
const HOMEPAGE: &str = env!("CARGO_PKG_REPOSITORY");

/// Whose packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Debian,
    Rpm,
}

/// What becomes of a file where a package is upgraded, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// The administrator's: what was changed stays.
    Settings,
    Document,
    Licence,
}

/// How it is compressed. What is tried out and thrown away need not be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Smallest,
    Quick,
}

/// What both packages are made from.
#[derive(Debug)]
pub struct Source<'a> {
    /// Where the sources are, and where packages are made.
    pub workspace: &'a Workspace,
    /// The tarball's directory.
    pub tree: &'a Path,
    /// What it is for.
    pub target: Target,
    /// Seconds since 1970, of all that is in it.
    pub date: u64,
    /// What distinguishes packages of one version, from 1.
    pub revision: u32,
    /// How it is compressed.
    pub size: Size,
}

/// A file at its place.
#[derive(Debug)]
struct Entry {
    /// Without the first `/`.
    path: String,
    kind: Kind,
}

/// A staged package.
#[derive(Debug)]
struct Staged {
    root: PathBuf,
    entries: Vec<Entry>,
}

impl Source<'_> {
    /// Puts all files at their places below a directory, which is made anew.
    fn stage(&self, family: Family, root: &Path) -> Result<Staged> {
        let _none = fs::remove_dir_all(root);
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let mut staged = Staged {
            root: root.to_owned(),
            entries: Vec::new(),
        };
        let tree = self.tree;
        let contrib = self.workspace.root.join("contrib");
        staged.copy(&tree.join("pinif"), "usr/bin/pinif", 0o755, Kind::Plain)?;
        for (from, to, kind) in SAME {
            let from = match from.strip_prefix("contrib/") {
                Some(name) => contrib.join(name),
                None => tree.join(from),
            };
            staged.copy(&from, to, 0o644, kind)?;
        }
        for name in unit::NAMES {
            let text = unit::of(&contrib.join(name))?;
            let to = format!("usr/lib/systemd/system/{name}");
            staged.write(&to, &text, Kind::Plain)?;
        }
        for page in names(&tree.join("man"))? {
            let section = page.rsplit('.').next().unwrap_or_default();
            let to = format!("usr/share/man/man{section}/{page}");
            staged.copy_compressed(&tree.join("man").join(&page), &to)?;
        }
        let zsh = match family {
            Family::Debian => "usr/share/zsh/vendor-completions/_pinif",
            Family::Rpm => "usr/share/zsh/site-functions/_pinif",
        };
        staged.copy(&tree.join("completions/_pinif"), zsh, 0o644, Kind::Plain)?;
        let list = tree.join("pinif.cdx.json");
        if list.exists() {
            let to = "usr/share/doc/pinif/pinif.cdx.json";
            staged.copy(&list, to, 0o644, Kind::Document)?;
        }
        Ok(staged)
    }
}

/// What has one place in both: where it is in the tarball or in `contrib`, and where it goes.
const SAME: [(&str, &str, Kind); 15] = [
    ("policy.toml", "etc/pinif/policy.toml", Kind::Settings),
    ("pinif.toml", "etc/pinif/pinif.toml", Kind::Settings),
    (
        "pinif-policy.schema.json",
        "usr/share/pinif/pinif-policy.schema.json",
        Kind::Plain,
    ),
    (
        "contrib/sysusers.conf",
        "usr/lib/sysusers.d/pinif.conf",
        Kind::Plain,
    ),
    (
        "contrib/tmpfiles.conf",
        "usr/lib/tmpfiles.d/pinif.conf",
        Kind::Plain,
    ),
    (
        "contrib/90-pinif.rules",
        "usr/lib/udev/rules.d/90-pinif.rules",
        Kind::Plain,
    ),
    (
        "contrib/journal/pinif.catalog",
        "usr/lib/systemd/catalog/pinif.catalog",
        Kind::Plain,
    ),
    (
        "contrib/grafana/pinif-dashboard.json",
        "usr/share/pinif/grafana/pinif-dashboard.json",
        Kind::Plain,
    ),
    (
        "contrib/prometheus/pinif.rules.yml",
        "usr/share/pinif/prometheus/pinif.rules.yml",
        Kind::Plain,
    ),
    (
        "contrib/prometheus/pinif-metrics.service",
        "usr/share/pinif/prometheus/pinif-metrics.service",
        Kind::Plain,
    ),
    (
        "contrib/prometheus/pinif-metrics.timer",
        "usr/share/pinif/prometheus/pinif-metrics.timer",
        Kind::Plain,
    ),
    (
        "contrib/wireshark/pinif.lua",
        "usr/share/pinif/wireshark/pinif.lua",
        Kind::Plain,
    ),
    (
        "completions/pinif.bash",
        "usr/share/bash-completion/completions/pinif",
        Kind::Plain,
    ),
    (
        "completions/pinif.fish",
        "usr/share/fish/vendor_completions.d/pinif.fish",
        Kind::Plain,
    ),
    (
        "policy.example.toml",
        "usr/share/doc/pinif/policy.example.toml",
        Kind::Document,
    ),
];

impl Staged {
    fn place(&mut self, path: &str, kind: Kind) -> PathBuf {
        self.entries.push(Entry {
            path: path.to_owned(),
            kind,
        });
        self.root.join(path)
    }

    fn copy(&mut self, from: &Path, to: &str, mode: u32, kind: Kind) -> Result<()> {
        copy(from, &self.place(to, kind), mode)
    }

    fn write(&mut self, to: &str, text: &str, kind: Kind) -> Result<()> {
        write(&self.place(to, kind), text, 0o644)
    }

    /// Copies it as gzip(1) compresses it, without its name and date.
    fn copy_compressed(&mut self, from: &Path, to: &str) -> Result<()> {
        let plain = self.root.join(to);
        copy(from, &plain, 0o644)?;
        self.compress(to)
    }

    fn write_compressed(&mut self, to: &str, text: &str) -> Result<()> {
        write(&self.root.join(to), text, 0o644)?;
        self.compress(to)
    }

    fn compress(&mut self, path: &str) -> Result<()> {
        let plain = self.root.join(path);
        run(Command::new("gzip").args(["-9", "--no-name"]).arg(plain))?;
        self.place(&format!("{path}.gz"), Kind::Document);
        Ok(())
    }
}

/// The names of a directory's files, in their order.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The permissions of a file.
fn mode_of(path: &Path) -> Result<u32> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.permissions().mode() & 0o7777)
}
