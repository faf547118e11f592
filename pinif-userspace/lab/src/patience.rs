//! How long to wait for what is expected.

use std::time::Duration;

/// A time limit as it is on this machine: `PINIF_PATIENCE` times the usual one. `cargo xtask vm` sets it where the
/// processor is emulated by software, and everything takes a multiple of its time.
pub fn patience(usual: Duration) -> Duration {
    let times = std::env::var("PINIF_PATIENCE")
        .ok()
        .and_then(|times| times.parse().ok());
    usual * times.unwrap_or(1)
}
