//! How long to wait for what is expected.

use std::time::Duration;

/// A time limit as it is on this machine: `PINIF_PATIENCE` times the usual one. `cargo xtask vm` sets it where the
/// processor is emulated by software, and everything takes a multiple of its time.
pub fn patience(usual: Duration) -> Duration {
    usual * times()
}

/// Whether the processor is emulated by software.
pub fn is_emulated() -> bool {
    times() > 1
}

fn times() -> u32 {
    let times = std::env::var("PINIF_PATIENCE")
        .ok()
        .and_then(|times| times.parse().ok());
    times.unwrap_or(1)
}
