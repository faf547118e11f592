//! The ring buffer of namespaces that somebody made a socket in, and that were not known.

use std::io;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, RingBuf},
};
use pinif_ebpf::{arrival::Arrival, key::NetNsCookie};
use tokio::io::{Interest, unix::AsyncFd};

/// Wakes when a socket is made in a namespace that was not told of yet.
pub struct Arrivals {
    ring: AsyncFd<RingBuf<MapData>>,
    told: HashMap<MapData, NetNsCookie, u32>,
}

impl Arrivals {
    /// Takes the maps of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let mut take = |name: &str| {
            ebpf.take_map(name)
                .with_context(|| format!("the eBPF object has no map {name}"))
        };
        let ring = RingBuf::try_from(take("ARRIVALS")?)?;
        Ok(Self {
            told: take("TOLD")?.try_into()?,
            // SAFETY: the ring owns its map, and keeps its descriptor open and the same for as long as it lives.
            ring: unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE)? },
        })
    }

    /// Waits for namespaces and gives each to `each`. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, mut each: impl FnMut(Arrival)) -> io::Result<()> {
        let mut guard = self.ring.readable_mut().await?;
        let ring = guard.get_inner_mut();
        while let Some(item) = ring.next() {
            if item.len() >= size_of::<Arrival>() {
                // SAFETY: the item is long enough, and any bytes are a valid record (`Pod`).
                each(unsafe { item.as_ptr().cast::<Arrival>().read_unaligned() });
            }
        }
        guard.clear_ready();
        Ok(())
    }

    /// Has all namespaces told of again: an earlier life was told of them.
    pub fn forget_all(&mut self) {
        let told: Vec<NetNsCookie> = self.told.keys().filter_map(Result::ok).collect();
        for netns in told {
            self.forget(netns);
        }
    }

    /// Has a namespace told of again, at the next socket that is made in it.
    pub fn forget(&mut self, netns: NetNsCookie) {
        // Where nobody has made a socket in it, it is not there.
        let _ = self.told.remove(&netns);
    }
}
