//! The binary: static, so that it starts on any distribution, and in an initramfs with nothing else in it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    cross::{Cross, static_flags},
    process::run_cargo,
    target::Target,
    workspace::Workspace,
};

/// cargo's profile: small and stripped.
const PROFILE: &str = "static";
/// More is too much for a card's flash. It was 12 MiB before pinif could be asked over HTTP and shown on a terminal, 14 before it kept a
/// history, of which SQLite takes 0.7, and 15 before it spoke to other hosts, of which TLS takes 1; compressed, it is 5.3 MiB.
const LIMIT: u64 = 17 << 20;

/// Builds it for a target, and returns where it is.
///
/// # Errors
/// Where it does not build, or has become too large.
pub fn build(workspace: &Workspace, target: Target, date: u64) -> Result<PathBuf> {
    let mut cargo = if target.is_of_this_machine() {
        let mut cargo = workspace.cargo();
        cargo
            .args(["build", "--target", target.name(), "--target-dir"])
            .arg(&workspace.target)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                static_flags(workspace).join("\x1f"),
            );
        cargo
    } else {
        Cross::ensure(workspace, target)?.cargo(workspace, "build")
    };
    cargo
        .args(["--package", "pinif-userspace", "--bin", "pinif"])
        .args(["--locked", "--profile", PROFILE])
        .env("SOURCE_DATE_EPOCH", date.to_string());
    run_cargo(&mut cargo)?;
    let binary = workspace.built_for(target, PROFILE, "pinif");
    let size = fs::metadata(&binary)
        .with_context(|| format!("cargo built no {}", binary.display()))?
        .len();
    anyhow::ensure!(
        size <= LIMIT,
        "{} has {size} bytes, of {LIMIT} at most",
        binary.display()
    );
    Ok(binary)
}
