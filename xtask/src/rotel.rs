//! rotel, a collector of OpenTelemetry that others wrote: the tests have it take what pinif sends.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    process::{output, say},
    pypi,
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
    pypi::unpack(
        workspace,
        &format!("rotel=={RELEASE}"),
        // Its program is the same for each Python, of which this machine may have another.
        &[
            "--implementation",
            "cp",
            "--python-version",
            "3.11",
            "--platform",
            PLATFORM,
        ],
        &directory,
        "rotel cannot be downloaded: pip must reach PyPI",
    )?;
    pypi::make_executable(&program)?;
    match output(Command::new(&program).arg("--version")) {
        Some(_) => Ok(()),
        None => bail!("{} does not start on this machine", program.display()),
    }
}
