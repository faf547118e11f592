//! A program of others that is measured, or measured with: where it is, and what it takes.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;
use pinif_lab::ServerProcess;
use procfs::process::Process;

use crate::clock;

/// Its time on a processor so far.
///
/// # Errors
/// Where it has ended.
pub fn busy(running: &ServerProcess) -> Result<Duration> {
    clock::busy(pid(running))
}

/// What it has in memory of its own, and what it had in memory at most, in MiB.
///
/// # Errors
/// Where it has ended.
pub fn memory(running: &ServerProcess) -> Result<[f64; 2]> {
    let status = Process::new(pid(running).as_raw())?.status()?;
    let mebibytes = |kibibytes: Option<u64>| kibibytes.unwrap_or(0) as f64 / 1024.0;
    Ok([mebibytes(status.rssanon), mebibytes(status.vmhwm)])
}

fn pid(running: &ServerProcess) -> Pid {
    Pid::from_raw(running.id().cast_signed())
}

/// The program, or the directory of it, that `cargo xtask bench` brings.
///
/// # Errors
/// Where it has brought none.
pub fn brought(variable: &str) -> Result<PathBuf> {
    let path = env::var_os(variable);
    path.map(PathBuf::from).with_context(|| {
        format!("{variable} names none of what is measured; run `cargo xtask bench`")
    })
}
