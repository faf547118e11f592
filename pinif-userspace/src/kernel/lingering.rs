//! The local endpoints of sockets that were closed, each with who had it: as many of the latest as there is room for.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use anyhow::{Result, bail};
use aya::{Ebpf, maps::Map};
use pinif_ebpf::{
    intent::Flow,
    key::{Endpoint, NetNsCookie},
};

use super::{batch::Batches, object::take_map};

/// The table of them.
pub(super) struct Lingering {
    descriptor: OwnedFd,
    /// Programs that are loaded later name the map by its descriptor.
    _table: Map,
}

impl Lingering {
    /// Of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks its map, or has it in another shape.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let table = take_map(ebpf, "LINGERING")?;
        let Map::LruHashMap(data) = &table else {
            bail!("the eBPF object's map LINGERING is of another type");
        };
        Ok(Self {
            descriptor: data.fd().as_fd().try_clone_to_owned()?,
            _table: table,
        })
    }

    /// Those of a namespace.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub(super) fn of(&self, netns: NetNsCookie) -> io::Result<Vec<(Endpoint, Flow)>> {
        let mut batches = Batches::<Endpoint, Flow>::of(self.descriptor.try_clone()?);
        let mut all = Vec::new();
        while let Some(batch) = batches.next()? {
            all.extend(batch.filter(|(endpoint, _)| endpoint.netns == netns));
        }
        Ok(all)
    }
}
