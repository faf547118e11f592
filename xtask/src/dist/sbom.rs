//! What is in the binary, as a list that other programs read: by cargo-cyclonedx.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::metadata;
use crate::{
    process::{output, run, say},
    workspace::Workspace,
};

/// The cargo-cyclonedx that is built where it is not there.
const RELEASE: &str = "0.5.9";
/// The list's name without its ending: cargo-cyclonedx writes one beside the manifest of each member of the workspace.
const NAME: &str = "pinif-dist.cdx";

/// The list (CycloneDX 1.5). It has the commit's date, and no path of this machine.
///
/// # Errors
/// Where cargo-cyclonedx cannot be built, or fails.
pub fn of(workspace: &Workspace, target: &str, metadata: &Value, date: u64) -> Result<String> {
    ensure(workspace)?;
    let mut cargo: Command = workspace.cargo();
    cargo
        .args(["cyclonedx", "--quiet", "--format", "json"])
        .args(["--spec-version", "1.5", "--no-build-deps"])
        .args(["--target", target, "--override-filename", NAME])
        .arg("--manifest-path")
        .arg(workspace.root.join("pinif-userspace/Cargo.toml"))
        .env("SOURCE_DATE_EPOCH", date.to_string());
    let made = run(&mut cargo);
    let mut list = None;
    for manifest in metadata::members(metadata) {
        let directory = Path::new(manifest).parent().unwrap_or(Path::new(""));
        let file = directory.join(format!("{NAME}.json"));
        if directory.ends_with("pinif-userspace") {
            list = fs::read_to_string(&file).ok();
        }
        let _none = fs::remove_file(file);
    }
    made?;
    let list = list.context("cargo-cyclonedx wrote no list")?;
    let root = format!("file://{}", workspace.root.display());
    Ok(list.replace(&root, "file:///pinif"))
}

fn ensure(workspace: &Workspace) -> Result<()> {
    let version = output(workspace.cargo().args(["cyclonedx", "--version"]));
    if version.is_some_and(|version| version.contains(RELEASE)) {
        return Ok(());
    }
    say(format_args!(
        "building cargo-cyclonedx {RELEASE} (some minutes)"
    ));
    run(&mut workspace.installation("cargo-cyclonedx", RELEASE))
        .context("cargo-cyclonedx could not be built")
}
