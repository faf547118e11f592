//! `cargo xtask dist`: what is installed where there is no compiler: a tarball, a Debian package and an RPM.
//!
//! In each: one static binary, its unit, manual pages and completions, the licences of all that is in it, and a list of that (CycloneDX). All of it
//! follows from the sources, the compiler and the date of the commit: who builds it again gets the same bytes.

mod archive;
mod binary;
mod date;
mod licences;
mod makers;
mod metadata;
mod package;
mod sbom;
mod tree;
pub mod trial;
mod write;

use std::{fs, process::ExitCode};

use anyhow::{Context as _, Error, Result};

use crate::{build, process::say, setup, target::Target, workspace::Workspace};
use archive::Archive;
use package::{Size, Source};

/// What distinguishes packages of one version.
const REVISION: u32 = 1;

/// For which machines.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the binary is for: x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu; may be repeated [default: this machine]
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<Target>,
}

/// Runs the task. Its lines on standard output are the files that it made.
///
/// # Errors
/// Where a tool is missing, or something cannot be built or written.
pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let targets = match args.targets.as_slice() {
        [] => vec![Target::of_this_machine().map_err(Error::msg)?],
        chosen => chosen.to_vec(),
    };
    setup::ensure_programs(
        &[
            ("tar", "tar"),
            ("xz", "xz-utils"),
            ("gzip", "gzip"),
            ("dpkg-deb", "dpkg"),
        ],
        "archives and packages are made by",
    )?;
    let date = date::of_commit(workspace)?;
    build::build_ebpf(workspace)?;
    makers::build(workspace, false)?;
    let directory = workspace.target.join("dist");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut archives = Vec::new();
    for target in targets {
        let binary = binary::build(workspace, target, date)?;
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("pinif-{version}-linux-{}", target.architecture());
        let tree = directory.join(&name);
        tree::stage(workspace, &tree, target, &binary, date)?;
        archives.push(archive::make(&tree, date)?);
        let source = Source {
            workspace,
            tree: &tree,
            target,
            date,
            revision: REVISION,
            size: Size::Smallest,
        };
        for package in [
            package::deb::make(&source, &directory)?,
            package::rpm::make(&source, &directory)?,
        ] {
            archives.push(Archive::at(package)?);
        }
    }
    let sums = archive::write_sums(&directory, &archives)?;
    for Archive { path, size, .. } in &archives {
        say(format_args!(
            "{}: {:.2} MiB",
            path.display(),
            mebibytes(*size)
        ));
        println!("{}", path.display());
    }
    println!("{}", sums.display());
    Ok(ExitCode::SUCCESS)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
