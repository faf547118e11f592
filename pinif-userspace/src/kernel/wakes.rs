//! What wakes pinif while it reads nothing on time.

use std::io;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use pinif_ebpf::wake::{Sleeper, WakeUp, asleep};

use super::{object::take_map, ring::Ring};

/// Wakes whoever said that they sleep, once, when something of theirs happens.
pub struct Wakes {
    ring: Ring<WakeUp>,
    asleep: Array<MapData, u32>,
}

impl Wakes {
    /// Takes the maps of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            ring: Ring::open(ebpf)?,
            asleep: take_map(ebpf, "ASLEEP")?.try_into()?,
        })
    }

    /// Says that one sleeps. What they wait for is to be read after this once more: it may have happened just before.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn sleep(&mut self, sleeper: Sleeper) -> Result<()> {
        self.asleep
            .set(sleeper as u32, asleep::SLEEPS, 0)
            .context("the map ASLEEP cannot be written")
    }

    /// Whether what is done would wake one who sleeps. Nobody is woken, and nobody sleeps after it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or what is done fails.
    pub fn notices(
        &mut self,
        sleeper: Sleeper,
        done: impl FnOnce() -> io::Result<()>,
    ) -> Result<bool> {
        self.asleep
            .set(sleeper as u32, asleep::TRIES, 0)
            .context("the map ASLEEP cannot be written")?;
        done()?;
        let left = self.asleep.get(&(sleeper as u32), 0);
        Ok(left.context("the map ASLEEP cannot be read")? == 0)
    }

    /// Waits until one is to wake up, and gives each to `each`. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, each: impl FnMut(WakeUp)) -> io::Result<()> {
        self.ring.next(each).await
    }
}
