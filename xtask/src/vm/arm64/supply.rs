//! What the arm64 machines are made of: QEMU, a kernel, a shell for it, and what builds the tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{LINES, MACHINE};
use crate::{
    cross::Cross,
    debian::apt::{Apt, Architecture, Extent},
    process::{all_on_path, say},
    target::Target,
    vm::{
        elf,
        kernels::{self, Kernel, Line},
        tools::{self, Tools, starts_with},
        unpacked::Unpacked,
    },
    workspace::Workspace,
};

const QEMU: &str = "qemu-system-aarch64";
/// Debian's package that has it.
const QEMU_PACKAGE: &str = "qemu-system-arm";
const BUSYBOX_PACKAGE: &str = "busybox-static";

/// What all machines have in common.
#[derive(Debug)]
pub struct Parts {
    /// What boots a machine.
    pub qemu: PathBuf,
    /// The machine's shell and its programs.
    pub busybox: PathBuf,
    /// What packs the machine's files, on this machine.
    pub tools: Tools,
    /// What builds the tests.
    pub cross: Cross,
}

/// What could be brought.
#[derive(Debug)]
pub struct Supply {
    /// What all machines have in common; or why it cannot be had.
    pub parts: Result<Parts, String>,
    /// Each kernel; or why it cannot be had.
    pub kernels: Vec<(Line, Result<Kernel, String>)>,
}

impl Supply {
    /// Brings what is not there.
    pub fn bring(workspace: &Workspace) -> Self {
        let parts = parts(workspace).map_err(|error| format!("{error:#}"));
        let kernel = |line| match &parts {
            Ok(parts) => kernels::ensure(workspace, &parts.tools, line, Architecture::Arm64)
                .map_err(|error| format!("{error:#}")),
            Err(reason) => Err(reason.clone()),
        };
        let kernels = LINES.iter().map(|&line| (line, kernel(line))).collect();
        Self { parts, kernels }
    }

    /// Why each thing is missing that could not be brought.
    pub fn missing(&self) -> Vec<String> {
        if let Err(reason) = &self.parts {
            return vec![reason.clone()];
        }
        let missing = |(line, kernel): &(Line, Result<Kernel, String>)| {
            let reason = kernel.as_ref().err()?;
            Some(format!("{} is not there: {reason}", super::name(*line)))
        };
        self.kernels.iter().filter_map(missing).collect()
    }
}

fn parts(workspace: &Workspace) -> Result<Parts> {
    Ok(Parts {
        tools: tools::ensure(workspace)?,
        qemu: qemu(workspace)?,
        busybox: busybox(workspace)?,
        cross: Cross::ensure(workspace, Target::AARCH64)?,
    })
}

fn directory(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("vm/arm64");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// This machine's, where it starts such a machine, else the one of Debian's package.
fn qemu(workspace: &Workspace) -> Result<PathBuf> {
    let is_suitable = |qemu: &Path| starts_with(qemu, &MACHINE);
    if let Some(installed) = all_on_path(QEMU).into_iter().find(|path| is_suitable(path)) {
        return Ok(installed);
    }
    let directory = directory(workspace)?;
    let root = directory.join("packages");
    let unpacked = || -> Result<PathBuf> {
        let packages = Unpacked::new(&root);
        let modules = packages.path("usr/lib/x86_64-linux-gnu/qemu");
        let searched = ["-L".into(), packages.path("usr/share/qemu")];
        let settings = [("QEMU_MODULE_DIR", modules)];
        let qemu = packages.script(&directory, QEMU, QEMU, &settings, &searched)?;
        if !is_suitable(&qemu) {
            bail!("{QEMU} does not start from {}", root.display());
        }
        Ok(qemu)
    };
    unpacked().or_else(|_| {
        let remedy = format!(
            "the arm64 machines need {QEMU} (Debian's package {QEMU_PACKAGE}), which this machine lacks"
        );
        say(format_args!(
            "unpacking {QEMU_PACKAGE} into {}",
            root.display()
        ));
        Apt::new(workspace, Architecture::Own)
            .and_then(|apt| {
                apt.unpack(&[QEMU_PACKAGE], Extent::WithDependencies, &root, |_| Ok(()))
            })
            .and_then(|()| unpacked())
            .context(remedy)
    })
}

/// The one of Debian's package: this machine's is of another architecture.
fn busybox(workspace: &Workspace) -> Result<PathBuf> {
    let root = directory(workspace)?.join("busybox");
    let unpacked = || {
        let program = Unpacked::new(&root).program("busybox");
        program.filter(|program| elf::is_static(program))
    };
    if let Some(busybox) = unpacked() {
        return Ok(busybox);
    }
    let remedy = "the arm64 machines need Debian's package busybox-static of that architecture";
    Apt::new(workspace, Architecture::Arm64)
        .and_then(|apt| apt.unpack(&[BUSYBOX_PACKAGE], Extent::Alone, &root, |_| Ok(())))
        .context(remedy)?;
    unpacked().context(remedy)
}
