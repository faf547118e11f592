//! `cargo xtask run`, `demo` and `doctor`: a fresh pinif, as root.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::{
    build::{self, Profile},
    process::{as_root, can_be_root, in_words, is_root, say},
    workspace::Workspace,
};

/// How pinif is built and called.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: Profile,
    /// What pinif's command is given
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Builds pinif and becomes it: signals reach it, and its exit status is the task's.
///
/// # Errors
/// Where the build fails, or pinif cannot be started as root.
pub fn run(workspace: &Workspace, command: &str, args: &Args) -> Result<ExitCode> {
    let task = format!("pinif {command}");
    can_be_root(&task)?;
    let pinif = build::build(workspace, &args.profile)?;
    let mut pinif = as_root(&pinif, &task)?;
    // Cargo's library path is for what it built; pinif runs as it will where it is installed.
    pinif
        .arg(command)
        .args(&args.args)
        .env_remove("LD_LIBRARY_PATH");
    if !is_root() {
        say(in_words(&pinif));
    }
    let error = pinif.exec();
    Err(error).with_context(|| format!("cannot start `{}`", in_words(&pinif)))
}
