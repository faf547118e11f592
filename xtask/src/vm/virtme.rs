//! virtme-ng, which starts QEMU on this machine's own file system.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::unpacked::Unpacked;
use crate::{
    debian::apt::{Apt, Architecture, Extent},
    process::{all_on_path, detached, output, run, say},
    script::{self, quoted},
    workspace::Workspace,
};

/// The virtme-ng that is installed.
const RELEASE: &str = "1.42";
/// Its programs that start a machine, and the modules that they are.
const PROGRAMS: [(&str, &str); 2] = [
    ("vng", "virtme_ng.run"),
    ("virtme-run", "virtme.commands.run"),
];

/// What starts them.
const STARTER: &str = include_str!("start.py");

/// Has virtme-ng in an environment of its own in `target/vm`, and its programs in `bin`.
///
/// # Errors
/// Where there is no Python that can install it, and none can be brought; or where it cannot be downloaded.
pub fn ensure(workspace: &Workspace, bin: &Path) -> Result<()> {
    let starter = bin.join("start.py");
    fs::write(&starter, STARTER).with_context(|| format!("cannot write {}", starter.display()))?;
    if is_there(bin) {
        return Ok(());
    }
    let environment = workspace.target.join("vm/virtme-ng");
    say(format_args!(
        "installing virtme-ng {RELEASE} into {}",
        environment.display()
    ));
    let python = match make_environment(&environment) {
        Some(python) => {
            install(&python, &[])?;
            python
        }
        None => {
            say("this machine has no Python that makes an environment: taking Debian's");
            let python = unpacked_python(workspace)?;
            let _nothing = fs::remove_dir_all(&environment);
            install(&python, &["--target", &environment.to_string_lossy()])?;
            python
        }
    };
    for (name, module) in PROGRAMS {
        script::write(
            &bin.join(name),
            &start(&python, &starter, &environment, module),
        )?;
    }
    if !is_there(bin) {
        bail!(
            "virtme-ng does not start from {}: remove that directory, and try again",
            environment.display()
        );
    }
    Ok(())
}

fn is_there(bin: &Path) -> bool {
    output(Command::new(bin.join("vng")).arg("--version"))
        .is_some_and(|version| version.split_whitespace().any(|word| word == RELEASE))
}

/// A Python with pip: the machine's, or Debian's.
///
/// # Errors
/// Where there is none, and none can be brought.
pub fn python(workspace: &Workspace) -> Result<PathBuf> {
    let has_pip =
        |python: &PathBuf| output(detached(python).args(["-m", "pip", "--version"])).is_some();
    match all_on_path("python3").into_iter().find(has_pip) {
        Some(python) => Ok(python),
        None => unpacked_python(workspace),
    }
}

/// The Python of a new environment. Some of a machine's cannot make one: Debian has what it takes in a package apart.
fn make_environment(environment: &Path) -> Option<PathBuf> {
    let python = environment.join("bin/python3");
    all_on_path("python3").into_iter().find_map(|installed| {
        output(
            detached(installed)
                .args(["-m", "venv", "--clear"])
                .arg(environment),
        )?;
        output(detached(&python).args(["-m", "pip", "--version"]))?;
        Some(python.clone())
    })
}

fn install(python: &Path, place: &[&str]) -> Result<()> {
    run(detached(python)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check"])
        .arg("install")
        .args(place)
        .arg(format!("virtme-ng=={RELEASE}")))
    .context("virtme-ng cannot be installed: pip must be able to download it from PyPI")
}

/// A Python with pip, from Debian's packages.
fn unpacked_python(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("vm");
    let root = directory.join("python");
    let home = root.join("usr");
    let script = || {
        let modules = home.join("lib/python3/dist-packages");
        let settings = [("PYTHONHOME", home.clone()), ("PYTHONPATH", modules)];
        let python =
            Unpacked::new(&root).script(&directory, "python3", "python3", &settings, &[])?;
        output(Command::new(&python).args(["-m", "pip", "--version"]))
            .context("the unpacked Python does not start pip")?;
        Ok(python)
    };
    let remedy = "virtme-ng needs a Python that makes environments (Debian's package python3-venv)";
    script().or_else(|_: anyhow::Error| {
        Apt::new(workspace, Architecture::Own)
            .and_then(|apt| {
                apt.unpack(
                    &["python3-pip"],
                    Extent::WithDependencies,
                    &root,
                    |_| Ok(()),
                )
            })
            .context(remedy)?;
        script().context(remedy)
    })
}

/// A script that starts a module, whichever Python it was installed for.
fn start(python: &Path, starter: &Path, environment: &Path, module: &str) -> String {
    let [python, starter, environment] =
        [python, starter, environment].map(|path| quoted(&path.to_string_lossy()));
    format!("#!/bin/sh\nexec {python} {starter} {environment} {module} \"$@\"\n")
}
