//! The binary: static, so that it starts on any distribution, and in an initramfs with nothing else in it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{process::run_cargo, remap, workspace::Workspace};

/// cargo's profile: small and stripped.
const PROFILE: &str = "static";
/// More is too much for a card's flash.
const LIMIT: u64 = 12 << 20;

/// Builds it for a target, and returns where it is.
///
/// # Errors
/// Where it does not build, or has become too large.
pub fn build(workspace: &Workspace, target: &str, date: u64) -> Result<PathBuf> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(remap::flags(workspace));
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--package", "pinif-userspace", "--bin", "pinif"])
        .args(["--locked", "--profile", PROFILE, "--target", target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("SOURCE_DATE_EPOCH", date.to_string());
    run_cargo(&mut cargo)?;
    let binary = workspace.target.join(target).join(PROFILE).join("pinif");
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
