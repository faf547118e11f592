//! A program of others that is measured, or measured with: started, waited for, and what it takes.

use std::env;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use pinif_lab::ServerProcess;
use procfs::process::Process;

use crate::clock;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts it, and waits until it listens there.
///
/// # Errors
/// Where it does not.
pub fn start(command: &mut Command, at: SocketAddr) -> Result<ServerProcess> {
    let running = ServerProcess::start(command)?;
    wait_for(running, at)
}

/// Waits until it listens there.
///
/// # Errors
/// Where it does not.
pub fn wait_for(mut running: ServerProcess, at: SocketAddr) -> Result<ServerProcess> {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(at).is_err() {
        ensure!(
            !running.has_ended()? && Instant::now() < end,
            "nothing listens at {at}"
        );
        thread::sleep(Duration::from_millis(20));
    }
    Ok(running)
}

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

/// An address of this host that nobody has.
///
/// # Errors
/// Where there is none.
pub fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
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
