//! `pinif-rpm`: writes an RPM of what a description on standard input names (JSON). `cargo xtask dist` starts it.
//!
//! No compiler, spec file or database of packages is needed, so that the machine may be any. The same description and files make the
//! same bytes: the dates are those of the description, and the host is not named.

use std::{collections::BTreeMap, io, path::PathBuf};

use anyhow::{Context as _, Result};
use rpm::{BuildConfig, CompressionWithLevel, FileMode, FileOptions, PackageBuilder, Scriptlet};
use serde::Deserialize;

/// The shell of the scripts, which rpm requires.
const SHELL: &str = "/bin/sh";

/// What is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    version: String,
    release: String,
    /// As `uname -m` names it.
    architecture: String,
    /// An SPDX expression.
    licence: String,
    summary: String,
    description: String,
    url: String,
    /// Seconds since 1970, of everything.
    date: u32,
    /// How small it is made, from 0 (quick) to 9.
    level: u32,
    /// What is in it, each with where it lies now.
    entries: Vec<Entry>,
    /// The scripts that rpm runs, by the names of a spec file.
    scripts: BTreeMap<When, String>,
    /// The file that is written.
    out: PathBuf,
}

/// A file, or a directory that is the package's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    /// None of a directory.
    source: Option<PathBuf>,
    mode: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Plain,
    /// The administrator's: `%config(noreplace)`.
    Settings,
    Document,
    Licence,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum When {
    Pre,
    Post,
    Preun,
    Postun,
    Posttrans,
}

fn main() -> Result<()> {
    let described = serde_json::from_reader(io::stdin().lock())
        .context("the package's description cannot be read")?;
    write(described)
}

fn write(described: Description) -> Result<()> {
    let Description {
        name,
        version,
        release,
        architecture,
        licence,
        summary,
        description,
        url,
        date,
        level,
        entries,
        scripts,
        out,
    } = described;
    let config = BuildConfig::v4()
        .source_date(date)
        // What every rpm since RHEL 7 reads.
        .compression(CompressionWithLevel::Xz(level));
    let mut package = PackageBuilder::new(&name, &version, &licence, &architecture, &summary);
    package
        .using_config(config)
        .release(release)
        .description(description)
        .url(url)
        .build_host("localhost");
    for entry in entries {
        add(&mut package, entry)?;
    }
    for (when, text) in scripts {
        let script = Scriptlet::new(text).prog(vec![SHELL]);
        match when {
            When::Pre => package.pre_install_script(script),
            When::Post => package.post_install_script(script),
            When::Preun => package.pre_uninstall_script(script),
            When::Postun => package.post_uninstall_script(script),
            When::Posttrans => package.post_trans_script(script),
        };
    }
    package
        .build()
        .and_then(|package| package.write_file(&out))
        .with_context(|| format!("cannot write {}", out.display()))
}

fn add(package: &mut PackageBuilder, entry: Entry) -> Result<()> {
    let Entry {
        path,
        source,
        mode,
        kind,
    } = entry;
    let Some(source) = source else {
        package.with_dir_entry(FileOptions::dir(path).permissions(mode))?;
        return Ok(());
    };
    let options = FileOptions::new(path).mode(FileMode::regular(mode));
    let options = match kind {
        Kind::Plain => options,
        Kind::Settings => options.config().noreplace(),
        Kind::Document => options.doc(),
        Kind::Licence => options.license(),
    };
    let content =
        std::fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
    package.with_file_contents(content, options)?;
    Ok(())
}
