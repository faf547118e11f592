//! What boots the machines: QEMU and its helpers from the distribution, virtme-ng in an environment of its own.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    process::{detached, output, run, say, which},
    setup,
    workspace::Workspace,
};

/// The virtme-ng that is installed.
const VIRTME_NG: &str = "1.42";

/// The programs, each with Debian's package that has it.
const PROGRAMS: [(&str, &str); 6] = [
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("file", "file"),
    ("python3", "python3-venv"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("script", "bsdutils"),
];

/// Where the tools are.
#[derive(Debug)]
pub struct Tools {
    /// The directory of virtme-ng's programs.
    pub virtme: PathBuf,
}

/// Brings what is missing.
///
/// # Errors
/// Where it cannot be brought.
pub fn ensure(workspace: &Workspace) -> Result<Tools> {
    setup::ensure_programs(&PROGRAMS, "the virtual machines need")?;
    let environment = workspace.target.join("vm/virtme-ng");
    let virtme = environment.join("bin");
    if !is_there(&virtme) {
        say(format_args!(
            "installing virtme-ng {VIRTME_NG} into {}",
            environment.display()
        ));
        let python = which("python3").context("python3 is missing")?;
        run(detached(python)
            .args(["-m", "venv", "--clear"])
            .arg(&environment))
        .context("python3 makes no environment: install Debian's python3-venv, or what brings Python's venv here")?;
        run(detached(virtme.join("python3")).args([
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "install",
            &format!("virtme-ng=={VIRTME_NG}"),
        ]))
        .context("virtme-ng cannot be installed")?;
    }
    Ok(Tools { virtme })
}

fn is_there(virtme: &std::path::Path) -> bool {
    output(Command::new(virtme.join("vng")).arg("--version"))
        .is_some_and(|version| version.split_whitespace().any(|word| word == VIRTME_NG))
}
