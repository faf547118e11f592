//! The kernel's clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` gives it in the kernel.
pub fn monotonic() -> Duration {
    now(ClockId::Monotonic)
}

/// `CLOCK_BOOTTIME`: how long the machine runs, suspended or not.
pub fn since_boot() -> Duration {
    now(ClockId::Boottime)
}

fn now(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
