//! The local endpoints of sockets that were closed, each with who had it: as many of the latest as there is room for.

use std::{io, os::fd::AsFd as _};

use anyhow::{Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use pinif_ebpf::{
    intent::Flow,
    key::{Endpoint, NetNsCookie},
};

use super::{batch::Batches, object::take_map};

/// The table of them.
pub(super) struct Lingering {
    /// Its descriptor stays open: programs that are loaded later name the map by it.
    table: MapData,
}

impl Lingering {
    /// Of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks its map, or has it in another shape.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let Map::LruHashMap(table) = take_map(ebpf, "LINGERING")? else {
            bail!("the eBPF object's map LINGERING is of another type");
        };
        Ok(Self { table })
    }

    /// Those of a namespace.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub(super) fn of(&self, netns: NetNsCookie) -> io::Result<Vec<(Endpoint, Flow)>> {
        let mut batches = Batches::<Endpoint, Flow, _>::of(self.table.fd().as_fd());
        let mut all = Vec::new();
        while let Some(batch) = batches.next()? {
            all.extend(batch.filter(|(endpoint, _)| endpoint.netns == netns));
        }
        Ok(all)
    }
}
