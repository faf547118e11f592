//! Rust's standard library for the target, with the compiler that it belongs to: what rustup added, else Debian's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::directory;
use crate::{
    debian::{
        self,
        apt::{Apt, Architecture, Extent},
    },
    process::{detached, output, say},
    target::Target,
    toolchain::{DEBIAN_PACKAGES, holds_core},
    workspace::Workspace,
};

/// Debian's compiler, which this machine has for the eBPF programs as well, and its cargo.
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
/// Debian's packages of the compiler, and of its standard library.
const COMPILER: &str = "rustc-web";
const LIBRARY: &str = "libstd-rust-web-dev";

/// Whose standard library it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Standard {
    /// That of the compiler that builds everything else.
    Usual,
    /// Debian's.
    Debian {
        /// Where it was unpacked.
        sysroot: PathBuf,
    },
}

impl Standard {
    /// The cargo that calls the compiler.
    pub fn cargo(&self, workspace: &Workspace) -> Command {
        match self {
            Self::Usual => workspace.cargo(),
            Self::Debian { .. } => {
                let mut cargo = detached(CARGO);
                cargo.current_dir(&workspace.root).env("RUSTC", RUSTC);
                cargo
            }
        }
    }

    /// Where the compiler has to look for it.
    pub fn sysroot(&self) -> Option<&Path> {
        match self {
            Self::Usual => None,
            Self::Debian { sysroot } => Some(sysroot),
        }
    }
}

/// Finds the standard library, or unpacks it.
///
/// # Errors
/// Where there is none and none can be brought.
pub fn ensure(workspace: &Workspace, target: Target) -> Result<Standard> {
    if usual(workspace, target).is_some_and(|directory| holds_core(&directory)) {
        return Ok(Standard::Usual);
    }
    let remedy = format!("`rustup target add {target}`");
    if !debian::is_here() {
        bail!(
            "Rust's standard library for {target} is missing, and this machine has no apt-get to bring one: {remedy} does"
        );
    }
    let version = match installed() {
        Some(version) => version,
        None => {
            let purpose = format!("a Rust with a standard library for {target}");
            debian::install(&DEBIAN_PACKAGES, &purpose, &remedy, debian::List::AsItIs)?;
            installed().with_context(|| format!("{purpose} is missing: {remedy} brings it"))?
        }
    };
    // Of the compiler's own version: it takes no other.
    let root = directory(workspace).join(format!("std-{version}"));
    let sysroot = root.join("usr");
    let library = sysroot.join("lib/rustlib").join(target.name()).join("lib");
    if !holds_core(&library) {
        let package = format!("{LIBRARY}={version}");
        say(format_args!(
            "unpacking {package} for arm64 into {}",
            root.display()
        ));
        fs::create_dir_all(directory(workspace))
            .with_context(|| format!("cannot make {}", root.display()))?;
        Apt::new(workspace, Architecture::Arm64)
            .and_then(|apt| apt.unpack(&[&package], Extent::Alone, &root, |_| Ok(())))
            .with_context(|| {
                format!(
                    "Rust's standard library for {target} is missing: {remedy}, or a {COMPILER} that Debian has for arm64 as well, brings it"
                )
            })?;
    }
    if !holds_core(&library) {
        bail!("Debian's {LIBRARY} has no standard library for {target} in it: {remedy} brings one");
    }
    Ok(Standard::Debian { sysroot })
}

/// Where the compiler that builds everything else looks for it.
fn usual(workspace: &Workspace, target: Target) -> Option<PathBuf> {
    let mut command = workspace.rustc();
    command.args(["--print", "target-libdir", "--target", target.name()]);
    Some(PathBuf::from(output(&mut command)?.trim_end()))
}

/// The version of Debian's compiler on this machine.
fn installed() -> Option<String> {
    let version = output(Command::new("dpkg-query").args([
        "--show",
        "--showformat",
        "${db:Status-Status} ${Version}",
        COMPILER,
    ]))?;
    let version = version.trim().strip_prefix("installed ")?;
    Path::new(RUSTC).is_file().then(|| version.to_owned())
}
