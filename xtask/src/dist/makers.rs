//! The programs that make pages and packages. They are crates of their own, so that no other task waits for what they are built of.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{process::run_cargo, test::CHECKED, workspace::Workspace};

/// Makes pages and completions.
pub const PAGES: &str = "pinif-pages";
/// Writes an RPM.
pub const RPM: &str = "pinif-rpm";

/// Builds them. With pinif's tests they share pinif as these have it, whose dependencies have other features: nothing is built twice.
///
/// # Errors
/// Where one does not build.
pub fn build(workspace: &Workspace, with_tests: bool) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--locked", "--profile", CHECKED])
        .args(["--package", PAGES, "--package", RPM, "--bins"]);
    if with_tests {
        cargo.args(["--package", "pinif-userspace", "--examples"]);
    }
    run_cargo(&mut cargo).context("what makes pages and packages could not be built")
}

/// One of them, once they are built.
pub fn maker(workspace: &Workspace, name: &str) -> Command {
    let mut maker = Command::new(workspace.built(CHECKED, name));
    maker.current_dir(&workspace.root);
    maker
}
