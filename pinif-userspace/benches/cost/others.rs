//! A program of others that is measured, or measured with: where it is, what it takes, and what it answers.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;
use pinif_lab::ServerProcess;
use procfs::process::Process;

use crate::clock;
use crate::web;

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

/// The number that an expression has, by what answers there as Prometheus does; nothing where it has none.
///
/// # Errors
/// Where it does not answer.
pub fn number(at: SocketAddr, expression: &str) -> Result<Option<u64>> {
    let query = serde_urlencoded::to_string([("query", expression)])?;
    let answer = web::get(at, &format!("/api/v1/query?{query}"))?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let number = answer["data"]["result"][0]["value"][1].as_str();
    Ok(number.and_then(|number| number.parse().ok()))
}
