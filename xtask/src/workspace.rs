//! Where things are: the workspace, its target directory, the tools that setup puts there.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::target::Target;

/// The paths that the tasks share, all absolute.
#[derive(Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// The directory that holds `release/` and `debug/`: the target directory, or the one in it that is named after the
    /// host where cargo is asked to build for it by name.
    artifacts: PathBuf,
}

impl Workspace {
    /// Finds the workspace, and the target directory from where this program runs: so it is the one that cargo used,
    /// however it was chosen.
    ///
    /// # Errors
    /// Where the running program cannot be found, or lies in no target directory.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is not in a workspace")?;
        let program = env::current_exe().context("cannot find where xtask runs from")?;
        let artifacts = program
            .ancestors()
            .nth(2)
            .with_context(|| format!("{} is in no target directory", program.display()))?;
        Ok(Self {
            root: root.to_owned(),
            target: target_directory(artifacts).to_owned(),
            artifacts: artifacts.to_owned(),
        })
    }

    /// Where setup installs programs that it builds: the root of `cargo install`.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The binary of a profile, `release` or `debug`.
    pub fn pinif(&self, profile: &str) -> PathBuf {
        self.built(profile, "pinif")
    }

    /// A program of a profile.
    pub fn built(&self, profile: &str, program: &str) -> PathBuf {
        self.artifacts.join(profile).join(program)
    }

    /// A program of a profile, built for a target that cargo was given.
    pub fn built_for(&self, target: Target, profile: &str, program: &str) -> PathBuf {
        let directory = self.target.join(target.name());
        directory.join(profile).join(program)
    }

    /// The cargo that runs this task, in the workspace's root, with the tools of setup at the end of its `PATH`.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.root)
            .env("PATH", self.search_path());
        cargo
    }

    /// The command that installs a release of a program of the registry's as one of setup's tools.
    pub fn installation(&self, program: &str, release: &str) -> Command {
        let mut cargo = self.cargo();
        cargo
            .args(["install", program, "--locked", "--version", release])
            .arg("--root")
            .arg(self.tools());
        cargo
    }

    /// The compiler that builds what the eBPF programs are not, in the workspace's root, where rustup asks which.
    pub fn rustc(&self) -> Command {
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.current_dir(&self.root);
        rustc
    }

    fn search_path(&self) -> OsString {
        let mut path = env::var_os("PATH").unwrap_or_default();
        path.push(":");
        path.push(self.tools().join("bin"));
        path
    }
}

/// The target directory of a directory that holds profiles: itself, or its parent where it is named after a target, as
/// in `target/x86_64-unknown-linux-gnu/debug`.
fn target_directory(artifacts: &Path) -> &Path {
    let named_after_host = artifacts
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix(env::consts::ARCH))
        .is_some_and(|rest| rest.starts_with('-') && rest.contains("-linux-"));
    match artifacts.parent() {
        Some(parent) if named_after_host => parent,
        _ => artifacts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_named_after_the_host_is_no_target_directory() {
        let host = format!("/w/target/{}-unknown-linux-gnu", env::consts::ARCH);
        assert_eq!(target_directory(Path::new(&host)), Path::new("/w/target"));
        assert_eq!(
            target_directory(Path::new("/w/target")),
            Path::new("/w/target")
        );
        assert_eq!(
            target_directory(Path::new("/w/x86_64")),
            Path::new("/w/x86_64")
        );
    }
}
