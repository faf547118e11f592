//! `cargo xtask package`: the crates as a registry has them. That of pinif itself carries the eBPF objects, whose compiler few have: so
//! `cargo install pinif-userspace` needs nothing but Rust.

mod install;
mod sources;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};

use crate::{
    build, process::can_be_root, process::run_cargo, report::Report, workspace::Workspace,
};

/// The crates, each after those that it needs.
const CRATES: [&str; 3] = ["pinif-ebpf", "pinif-lab", "pinif-userspace"];

/// What is done with them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Install pinif from them below the target directory, and try it, as root
    #[arg(long)]
    install: bool,
}

/// Runs the task. Its lines on standard output are the crates that it made.
///
/// # Errors
/// Where git or cargo fails, or what was installed does not work.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if args.install {
        can_be_root("cargo xtask package --install")?;
    }
    build::build_ebpf(workspace)?;
    let crates = make(workspace)?;
    for path in &crates {
        println!("{}", path.display());
    }
    if args.install {
        install::install(workspace, &crates)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the crates, installs pinif from them and tries it, and adds to the report whether that worked.
pub fn check(workspace: &Workspace, report: &mut Report) {
    let started = Instant::now();
    let tried = make(workspace).and_then(|crates| install::install(workspace, &crates));
    let success = tried.is_ok();
    if let Err(error) = tried {
        println!("the packaged crate failed: {error:#}");
    }
    report.add_check("the packaged crate", started.elapsed(), success);
}

/// Makes the crates. Returns them, in the order of [`CRATES`].
fn make(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let copy = workspace.target.join("package-sources");
    sources::copy(workspace, &copy).context("the sources cannot be copied")?;
    let mut cargo = workspace.cargo();
    cargo
        .current_dir(&copy)
        // What they need of each other is in no registry yet; `install` builds them.
        .args(["package", "--no-verify", "--quiet", "--target-dir"])
        .arg(&workspace.target);
    for name in CRATES {
        cargo.args(["--package", name]);
    }
    run_cargo(&mut cargo)?;
    let version = env!("CARGO_PKG_VERSION");
    let of = |name| {
        workspace
            .target
            .join(format!("package/{name}-{version}.crate"))
    };
    Ok(CRATES.map(of).to_vec())
}
