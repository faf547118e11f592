//! A moment on two clocks.

use std::time::{Duration, SystemTime};

use crate::kernel::clock::monotonic;

/// A moment: what is computed with it takes the kernel's clock, and what people read the wall clock, which may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` returns it.
    pub monotonic: Duration,
    /// The wall clock.
    pub wall: SystemTime,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self {
            monotonic: monotonic(),
            wall: SystemTime::now(),
        }
    }

    /// A moment before this one, as the kernel's clock said it: on the wall clock that is.
    pub fn before(self, monotonic: Duration) -> Self {
        let ago = self.monotonic.saturating_sub(monotonic);
        Self {
            monotonic: self.monotonic - ago,
            wall: self.wall - ago,
        }
    }
}
