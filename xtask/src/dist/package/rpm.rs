//! The RPM: by the crate `rpm`, in a program of its own (`xtask/rpm`), so that it is made on any machine and the tasks need not wait
//! for what it is built of.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{DESCRIPTION, Entry, Family, HOMEPAGE, Kind, SUMMARY, Size, Source, Staged, layout};
use crate::{dist::makers, process::in_words};

/// What rpm runs, by the names of a spec file.
const SCRIPTS: [(&str, &str); 4] = [
    ("post", include_str!("rpm/post.sh")),
    ("preun", include_str!("rpm/preun.sh")),
    ("postun", include_str!("rpm/postun.sh")),
    ("posttrans", include_str!("rpm/posttrans.sh")),
];

/// The directories that are the package's, and not the distribution's.
const OWN: [&str; 7] = [
    "etc/pinif",
    "usr/share/doc/pinif",
    "usr/share/licenses/pinif",
    "usr/share/pinif",
    "usr/share/pinif/grafana",
    "usr/share/pinif/prometheus",
    "usr/share/pinif/wireshark",
];

/// Makes it in a directory, and returns where it is.
///
/// # Errors
/// Where a file cannot be read or written, or the program that writes it does not build.
pub fn make(source: &Source<'_>, directory: &Path) -> Result<PathBuf> {
    let (version, release) = (env!("CARGO_PKG_VERSION"), source.revision);
    let architecture = source.target.architecture();
    let root = directory.join(".rpm");
    let mut staged = source.stage(Family::Rpm, &root)?;
    add_documents(source, &mut staged)?;
    staged.entries.sort_by(|a, b| a.path.cmp(&b.path));
    let package = directory.join(format!("pinif-{version}-{release}.{architecture}.rpm"));
    let mut scripts: serde_json::Map<_, _> = SCRIPTS
        .iter()
        .map(|(when, text)| ((*when).to_owned(), Value::from(*text)))
        .collect();
    scripts.insert("pre".to_owned(), layout::script(source.tree)?.into());
    let described = json!({
        "name": "pinif",
        "version": version,
        "release": release.to_string(),
        "architecture": architecture,
        "licence": env!("CARGO_PKG_LICENSE"),
        "summary": SUMMARY,
        "description": DESCRIPTION,
        "url": HOMEPAGE,
        "date": source.date,
        "level": match source.size { Size::Smallest => 9, Size::Quick => 0 },
        "entries": entries(&staged)?,
        "scripts": scripts,
        "out": package,
    });
    write(source, &described)?;
    fs::remove_dir_all(&root)?;
    Ok(package)
}

fn add_documents(source: &Source<'_>, staged: &mut Staged) -> Result<()> {
    let tree = source.tree;
    for name in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "LICENSES-OF-DEPENDENCIES.txt",
    ] {
        let to = format!("usr/share/licenses/pinif/{name}");
        staged.copy(&tree.join(name), &to, 0o644, Kind::Licence)?;
    }
    staged.copy(
        &tree.join("CHANGELOG.md"),
        "usr/share/doc/pinif/CHANGELOG.md",
        0o644,
        Kind::Document,
    )
}

/// The package's directories, then its files.
fn entries(staged: &Staged) -> Result<Vec<Value>> {
    let own: BTreeSet<_> = OWN.into_iter().collect();
    let mut entries: Vec<_> = own
        .iter()
        .map(|path| {
            json!({"path": format!("/{path}"), "source": null, "mode": 0o755, "kind": "plain"})
        })
        .collect();
    for Entry { path, kind } in &staged.entries {
        let source = staged.root.join(path);
        let mode = super::mode_of(&source)?;
        let kind = match kind {
            Kind::Plain => "plain",
            Kind::Settings => "settings",
            Kind::Document => "document",
            Kind::Licence => "licence",
        };
        entries.push(json!({
            "path": format!("/{path}"), "source": source, "mode": mode, "kind": kind,
        }));
    }
    Ok(entries)
}

fn write(source: &Source<'_>, described: &Value) -> Result<()> {
    let mut maker = makers::maker(source.workspace, makers::RPM);
    let mut child = maker
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", in_words(&maker)))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(described.to_string().as_bytes())?;
    }
    ensure!(child.wait()?.success(), "`{}` failed", in_words(&maker));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::SAME, OWN};

    /// rpm removes no directory that it does not have.
    #[test]
    fn each_directory_of_its_own_files_is_the_packages() {
        let places = SAME.iter().map(|(_, place, _)| *place);
        let own = places.filter(|place| place.starts_with("usr/share/pinif/"));
        for place in own {
            let (directory, _) = place.rsplit_once('/').expect("it is in one");
            assert!(OWN.contains(&directory), "{directory}");
        }
    }
}
