//! The ring buffer: a record at the first sighting of each finding.

use std::io;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use pinif_ebpf::sighting::SightingRecord;
use tokio::io::{Interest, unix::AsyncFd};

/// Wakes when there is something to see.
pub struct Sightings {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl Sightings {
    /// Takes the ring buffer of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object has none, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let map = ebpf
            .take_map("SIGHTINGS")
            .context("the eBPF object has no map SIGHTINGS")?;
        let ring = RingBuf::try_from(map)?;
        Ok(Self {
            // SAFETY: the ring owns its map, and keeps its descriptor open and the same for as long as it lives.
            ring: unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE)? },
        })
    }

    /// Waits for sightings and gives each to `each`.
    ///
    /// Safe to cancel: what was not given yet stays in the buffer.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, each: impl FnMut(SightingRecord)) -> io::Result<()> {
        let mut guard = self.ring.readable_mut().await?;
        drain(guard.get_inner_mut(), each);
        guard.clear_ready();
        Ok(())
    }

    /// Gives what is there to `each`, without waiting.
    pub fn drain(&mut self, each: impl FnMut(SightingRecord)) {
        drain(self.ring.get_mut(), each);
    }
}

fn drain(ring: &mut RingBuf<MapData>, mut each: impl FnMut(SightingRecord)) {
    while let Some(item) = ring.next() {
        if item.len() >= size_of::<SightingRecord>() {
            // SAFETY: the item is long enough, and any bytes are a valid record (`Pod`).
            each(unsafe { item.as_ptr().cast::<SightingRecord>().read_unaligned() });
        }
    }
}
