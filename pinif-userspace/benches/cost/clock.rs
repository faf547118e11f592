//! The clock that all processes share, and the kernel's programs; and that of a process.

use std::time::Duration;

use anyhow::Result;
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now() -> u64 {
    read(ClockId::Monotonic)
}

/// Nanoseconds of the wall clock, since 1970.
pub fn wall() -> u64 {
    read(ClockId::Realtime)
}

/// How long all threads of a process were on a processor so far.
///
/// # Errors
/// Where it has ended.
pub fn busy(process: Pid) -> Result<Duration> {
    let clock = clock_getcpuclockid(process)?;
    Ok(nix::time::clock_gettime(clock)?.into())
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
