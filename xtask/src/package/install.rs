//! Installing pinif from its crate, as `cargo install pinif-userspace` does, and trying what was installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::CRATES;
use crate::{
    process::{answer, as_root, run as run_command, run_cargo, say},
    workspace::Workspace,
};

/// Installs pinif from the crates below the target directory, and has it audit the demo's chassis.
///
/// # Errors
/// Where it does not build, where more than pinif is installed, or where pinif does not work.
pub(super) fn install(workspace: &Workspace, crates: &[PathBuf]) -> Result<()> {
    let unpacked = workspace.target.join("package-unpacked");
    let root = workspace.target.join("package-installed");
    for directory in [&unpacked, &root] {
        let _none = fs::remove_dir_all(directory);
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    for path in crates {
        run_command(
            Command::new("tar")
                .arg("-C")
                .arg(&unpacked)
                .arg("-xzf")
                .arg(path),
        )?;
    }
    say("installing pinif from its crate, without optimization");
    let of = |name: &str| unpacked.join(format!("{name}-{}", env!("CARGO_PKG_VERSION")));
    let mut cargo = workspace.cargo();
    // The folder of the sources would give its own settings.
    cargo
        .current_dir(&unpacked)
        .env_remove("PINIF_EBPF_OBJECT")
        .env_remove("PINIF_PINS_OBJECT")
        .args(["install", "--debug", "--root"])
        .arg(&root)
        .arg("--target-dir")
        .arg(workspace.target.join("package-build"));
    let (pinif, needed) = CRATES.split_last().context("there is a crate")?;
    cargo.arg("--path").arg(of(pinif));
    for name in needed {
        // No registry has them yet.
        let path = of(name);
        cargo.arg("--config").arg(format!(
            "patch.crates-io.{name}.path=\"{}\"",
            path.display()
        ));
    }
    run_cargo(&mut cargo)?;
    attempt(&root.join("bin"))
}

/// Tries what is in the directory of an installation.
fn attempt(directory: &Path) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let names = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<Vec<_>>>()?;
    ensure!(
        names == ["pinif"],
        "it installs {names:?}, and not pinif alone"
    );
    let pinif = directory.join("pinif");
    let mut demo = as_root(&pinif, "cargo xtask package --install")?;
    // From the root directory: it has all that it needs inside.
    let shown = answer(demo.current_dir("/").args(["demo", "--fast"]))?;
    if !shown.contains("device-escape") {
        bail!("its demo finds no leak: {shown}");
    }
    Ok(())
}
