//! The network namespaces that a socket was made in and that were not reported yet.

use std::io;

use anyhow::Result;
use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use pinif_ebpf::{arrival::NewNamespace, key::NetNsCookie};

use super::{object::take_map, ring::Ring};

/// Wakes when a socket is made in a namespace that was not reported yet.
pub struct Arrivals {
    ring: Ring<NewNamespace>,
    reported: HashMap<MapData, NetNsCookie, u32>,
}

impl Arrivals {
    /// Takes the maps of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or the runtime cannot watch it.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            ring: Ring::open(ebpf)?,
            reported: take_map(ebpf, "REPORTED")?.try_into()?,
        })
    }

    /// Waits for namespaces and gives each to `each`. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, each: impl FnMut(NewNamespace)) -> io::Result<()> {
        self.ring.next(each).await
    }

    /// Has all namespaces reported again: they were reported to a previous instance.
    pub fn forget_all(&mut self) {
        let reported: Vec<NetNsCookie> = self.reported.keys().filter_map(Result::ok).collect();
        for netns in reported {
            self.forget(netns);
        }
    }

    /// Has a namespace reported again, at the next socket that is made in it.
    pub fn forget(&mut self, netns: NetNsCookie) {
        // Where nobody has made a socket in it, it is not there.
        let _ = self.reported.remove(&netns);
    }
}
