//! The local endpoints of sockets that were closed, each with who had it: as many of the latest as there is room for.

use std::{io, ops::ControlFlow, os::fd::AsFd as _};

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

    /// Gives those of a namespace, until `take` wants no more. There may be a million, so nothing is kept of them here.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub(super) fn each(
        &self,
        netns: NetNsCookie,
        mut take: impl FnMut(Endpoint, Flow) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let mut batches = Batches::<Endpoint, Flow, _>::of(self.table.fd().as_fd());
        while let Some(mut batch) = batches.next()? {
            let taken = batch.try_for_each(|(endpoint, flow)| {
                if endpoint.netns == netns {
                    take(endpoint, flow)
                } else {
                    ControlFlow::Continue(())
                }
            });
            if taken.is_break() {
                break;
            }
        }
        Ok(())
    }
}
