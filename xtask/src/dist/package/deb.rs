//! The Debian package: by `dpkg-deb`, which is where Debian's packages are made, and needs nothing else.
//!
//! The files have the date of the commit (`SOURCE_DATE_EPOCH`, by which dpkg-deb cuts the later ones), root as their owner, and one
//! thread compresses them: the bytes are the same each time.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{DESCRIPTION, Entry, Family, HOMEPAGE, Kind, SUMMARY, Size, Source, Staged, layout};
use crate::{
    dist::{date, write::write},
    process::{output, run},
};

const MAINTAINER: &str = "pinif maintainers <pinif@users.noreply.github.com>";

/// What dpkg runs, each by its name: deb-postinst(5) and its kin.
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("deb/postinst.sh")),
    ("prerm", include_str!("deb/prerm.sh")),
    ("postrm", include_str!("deb/postrm.sh")),
];

/// How a script begins.
const START: &str = "#!/bin/sh\nset -e\n";

/// What lintian would complain of, and why it is so.
const OVERRIDES: &str = include_str!("deb/overrides");
const COPYRIGHT: &str = include_str!("deb/copyright");

/// Makes it in a directory, and returns where it is.
///
/// # Errors
/// Where a file cannot be read or written, or dpkg-deb fails.
pub fn make(source: &Source<'_>, directory: &Path) -> Result<PathBuf> {
    let version = format!("{}-{}", env!("CARGO_PKG_VERSION"), source.revision);
    let architecture = architecture(source.target.architecture());
    let root = directory.join(".deb");
    let mut staged = source.stage(Family::Debian, &root)?;
    add_documents(source, &mut staged, &version)?;
    staged.entries.sort_by(|a, b| a.path.cmp(&b.path));
    let control = root.join("DEBIAN");
    write(
        &control.join("control"),
        &fields(&version, architecture, installed_size(&staged)?),
        0o644,
    )?;
    write(
        &control.join("conffiles"),
        &conffiles(&staged.entries),
        0o644,
    )?;
    write(&control.join("md5sums"), &sums(&staged)?, 0o644)?;
    for (name, text) in SCRIPTS {
        write(&control.join(name), text, 0o755)?;
    }
    let preinst = format!("{START}\n{}", layout::script(source.tree)?);
    write(&control.join("preinst"), &preinst, 0o755)?;
    // Directories, too, whatever this user's umask is: a package that has `/usr` closed for others closes it.
    run(Command::new("chmod")
        .args(["--recursive", "u=rwX,go=rX"])
        .arg(&root))?;
    let package = directory.join(format!("pinif_{version}_{architecture}.deb"));
    let compression: &[&str] = match source.size {
        Size::Smallest => &["-Zxz", "-z9"],
        Size::Quick => &["-Zgzip", "-z1"],
    };
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", source.date.to_string())
        // Several threads make blocks, whose sizes follow from their number.
        .env("DPKG_DEB_THREADS_MAX", "1")
        .arg("--root-owner-group")
        .args(compression)
        .arg("--build")
        .arg(&root)
        .arg(&package))?;
    fs::remove_dir_all(&root)?;
    Ok(package)
}

/// What Debian's policy wants in `/usr/share/doc`.
fn add_documents(source: &Source<'_>, staged: &mut Staged, version: &str) -> Result<()> {
    let documents = "usr/share/doc/pinif";
    staged.write(&format!("{documents}/copyright"), COPYRIGHT, Kind::Licence)?;
    staged.write_compressed(
        &format!("{documents}/changelog.Debian"),
        &changelog(version, source.date)?,
    )?;
    let tree = source.tree;
    staged.copy_compressed(
        &tree.join("CHANGELOG.md"),
        &format!("{documents}/changelog"),
    )?;
    staged.copy_compressed(
        &tree.join("LICENSES-OF-DEPENDENCIES.txt"),
        &format!("{documents}/licences-of-dependencies.txt"),
    )?;
    staged.write(
        "usr/share/lintian/overrides/pinif",
        OVERRIDES,
        Kind::Document,
    )
}

/// The processor, as Debian names it.
fn architecture(of: &str) -> &str {
    match of {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// deb-control(5).
fn fields(version: &str, architecture: &str, kibibytes: u64) -> String {
    let mut text = format!(
        "Package: pinif\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {MAINTAINER}\nInstalled-Size: {kibibytes}\n\
         Recommends: systemd, udev\nSection: net\nPriority: optional\nHomepage: {HOMEPAGE}\nDescription: {SUMMARY}\n"
    );
    for line in DESCRIPTION.lines() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, " {}", if line.is_empty() { "." } else { line });
    }
    text
}

/// deb-changelog(5): the changes themselves are in `changelog.gz`.
fn changelog(version: &str, date: u64) -> Result<String> {
    let date = date::in_mail(date)?;
    Ok(format!(
        "pinif ({version}) unstable; urgency=medium\n\n  * Packaged; changelog.gz has what is new.\n\n -- {MAINTAINER}  {date}\n"
    ))
}

/// In KiB, each file rounded up (deb-substvars(5)).
fn installed_size(staged: &Staged) -> Result<u64> {
    let mut kibibytes = 0;
    for Entry { path, .. } in &staged.entries {
        kibibytes += fs::metadata(staged.root.join(path))?.len().div_ceil(1024);
    }
    Ok(kibibytes)
}

fn conffiles(entries: &[Entry]) -> String {
    entries
        .iter()
        .filter(|entry| entry.kind == Kind::Settings)
        .map(|entry| format!("/{}\n", entry.path))
        .collect()
}

/// deb-md5sums(5), by which `dpkg --verify` looks.
fn sums(staged: &Staged) -> Result<String> {
    let files = staged
        .entries
        .iter()
        .filter(|entry| entry.kind != Kind::Settings)
        .map(|entry| &entry.path);
    output(Command::new("md5sum").current_dir(&staged.root).args(files)).context("md5sum fails")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_line_of_the_description_has_a_point() {
        let fields = fields("1.0-1", "amd64", 7);
        assert!(fields.contains("\n .\n The service audits"), "{fields}");
        assert!(fields.contains("\nInstalled-Size: 7\n"));
        assert!(fields.lines().all(|line| !line.trim().is_empty()));
    }

    #[test]
    fn debian_has_names_of_its_own_for_what_is_built_for() {
        for (target, name) in [
            ("x86_64-unknown-linux-gnu", "amd64"),
            ("aarch64-unknown-linux-gnu", "arm64"),
        ] {
            let target: crate::target::Target = target.parse().expect("a target");
            assert_eq!(architecture(target.architecture()), name);
        }
    }

    #[test]
    fn what_the_administrator_changes_are_conffiles() {
        let entry = |path: &str, kind| Entry {
            path: path.to_owned(),
            kind,
        };
        let entries = [entry("etc/a", Kind::Settings), entry("usr/b", Kind::Plain)];
        assert_eq!(conffiles(&entries), "/etc/a\n");
    }

    #[test]
    fn a_script_ends_where_something_in_it_fails() {
        for (name, text) in SCRIPTS {
            assert!(text.starts_with(START), "{name}");
        }
    }
}
