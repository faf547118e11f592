//! rotel, a collector of OpenTelemetry that others wrote: the tests have it take what pinif sends.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{detached, output, run, say},
    vm,
    workspace::Workspace,
};

/// Its release on PyPI. All of them are called unfinished there, so that one has to be named.
const RELEASE: &str = "0.0.1a15";
/// Its program, as the package has it: it needs no Python.
const PROGRAM: &str = "rotel/rotel-agent";
/// What it was built for: this architecture, with a C library of 2022 or later.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") {
    "manylinux_2_34_aarch64"
} else {
    "manylinux_2_34_x86_64"
};
/// Where the tests find it, as the environment says it.
pub const VARIABLE: &str = "PINIF_TEST_ROTEL";

/// Where the program is, once it was brought.
pub fn program(workspace: &Workspace) -> PathBuf {
    directory(workspace).join(PROGRAM)
}

fn directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("vm/rotel")
}

/// Finds the program, or brings it.
///
/// # Errors
/// Where pip cannot download the package, or what it has does not start.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let program = program(workspace);
    if output(Command::new(&program).arg("--version")).is_some() {
        return Ok(());
    }
    let directory = directory(workspace);
    say(format_args!(
        "downloading rotel {RELEASE} into {}",
        directory.display()
    ));
    let _nothing = fs::remove_dir_all(&directory);
    let python = vm::python(workspace)?;
    run(detached(&python)
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check"])
        .args(["download", "--no-deps", "--only-binary", ":all:"])
        // Its program is the same for each Python, of which this machine may have another.
        .args(["--implementation", "cp", "--python-version", "3.11"])
        .args(["--platform", PLATFORM, "--dest"])
        .arg(&directory)
        .arg(format!("rotel=={RELEASE}")))
    .context("rotel cannot be downloaded: pip must reach PyPI")?;
    let package = wheel(&directory)?;
    run(detached(&python)
        .args(["-m", "zipfile", "-e"])
        .args([&package, &directory]))?;
    fs::remove_file(&package)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the package has no {PROGRAM}"))?;
    match output(Command::new(&program).arg("--version")) {
        Some(_) => Ok(()),
        None => bail!("{} does not start on this machine", program.display()),
    }
}

/// The one file that was downloaded.
fn wheel(directory: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(directory)?;
    let entry = entries.next().context("pip has downloaded nothing")?;
    Ok(entry?.path())
}
