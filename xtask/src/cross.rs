//! Builds for the other architecture on this machine. Nothing is installed for it: what the machine lacks is unpacked from
//! Debian's packages into `target/tools/cross`.
//!
//! What is built is linked statically: it is to start on systems whose C library is older than the one here, or another one.

mod linker;
mod standard;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{
    remap,
    target::{Target, variable},
    workspace::Workspace,
};

use standard::Standard;

/// What builds for a target.
#[derive(Debug)]
pub struct Cross {
    target: Target,
    linker: PathBuf,
    standard: Standard,
}

impl Cross {
    /// Finds what builds for a target, or brings it.
    ///
    /// # Errors
    /// Where this machine is none that can, or something can be neither found nor brought.
    pub fn ensure(workspace: &Workspace, target: Target) -> Result<Self> {
        if env::consts::ARCH != "x86_64" || target != Target::AARCH64 {
            bail!(
                "this machine ({}) builds for itself only, and not for {target}: what builds for the other architecture is there for x86-64 machines",
                env::consts::ARCH
            );
        }
        Ok(Self {
            target,
            linker: linker::ensure(workspace)?,
            standard: standard::ensure(workspace, target)?,
        })
    }

    /// The cargo that builds for the target, with the command that is given.
    pub fn cargo(&self, workspace: &Workspace, command: &str) -> Command {
        let mut cargo = self.standard.cargo(workspace);
        cargo
            .args([command, "--target", self.target.name(), "--target-dir"])
            .arg(&workspace.target)
            .env(variable(self.target.name(), "LINKER"), &self.linker)
            // What is written in C (SQLite) is compiled by it as well: as the crate `cc` looks for it.
            .env(self.of_cc("CC"), &self.linker)
            .env(self.of_cc("AR"), linker::beside(&self.linker, "ar"))
            .env_remove("RUSTFLAGS")
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                self.flags(workspace).join("\x1f"),
            );
        cargo
    }

    /// The program that takes from a program of the target's what debuggers need.
    pub fn strip(&self) -> Command {
        Command::new(linker::beside(&self.linker, "strip"))
    }

    /// The variable by which the crate `cc` finds a tool for the target.
    fn of_cc(&self, tool: &str) -> String {
        format!("{tool}_{}", self.target.name().replace('-', "_"))
    }

    fn flags(&self, workspace: &Workspace) -> Vec<String> {
        let sysroot = self.standard.sysroot().map(Path::display);
        let mut flags: Vec<_> = sysroot
            .map(|sysroot| format!("--sysroot={sysroot}"))
            .into_iter()
            .collect();
        flags.extend(static_flags(workspace));
        flags
    }
}

/// The compiler's flags for a static program that has no path of this machine in it.
pub fn static_flags(workspace: &Workspace) -> Vec<String> {
    let mut flags = remap::flags(workspace);
    flags.push("-Ctarget-feature=+crt-static".to_owned());
    flags
}

/// Where what builds for arm64 is unpacked.
fn directory(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("cross/aarch64")
}
