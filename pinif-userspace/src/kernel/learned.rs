//! Reading what the programs have learned.

use std::{io, os::fd::AsFd as _};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use pinif_ebpf::learned::{LearnedKey, LearnedState, Learner};

use super::{batch::Batches, object::take_map, ring::Ring};

/// The table of what is sent by whom, and the ring buffer that reports who is new in it.
pub struct Learned {
    /// Its descriptor stays open: programs that are loaded later name the map by it.
    table: MapData,
    learners: Ring<Learner>,
}

impl Learned {
    /// Takes the maps of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let Map::HashMap(table) = take_map(ebpf, "LEARNED")? else {
            bail!("the eBPF object's map LEARNED is of another type");
        };
        Ok(Self {
            table,
            learners: Ring::open(ebpf)?,
        })
    }

    /// All entries, those first that were entered first.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn entries(&self) -> Result<Vec<(LearnedKey, LearnedState)>> {
        let read = "what was learned cannot be read from its map";
        let mut batches = Batches::<LearnedKey, LearnedState, _>::of(self.table.fd().as_fd());
        let mut entries = Vec::new();
        while let Some(batch) = batches.next().context(read)? {
            entries.extend(batch);
        }
        entries.sort_unstable_by_key(|(key, state)| (state.first, *key));
        Ok(entries)
    }

    /// Gives the programs that are new to `each`, without waiting.
    pub fn drain(&mut self, each: impl FnMut(Learner)) {
        self.learners.drain(each);
    }

    /// Waits for programs that are new, and gives each to `each`. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the buffer cannot be waited for.
    pub async fn next(&mut self, each: impl FnMut(Learner)) -> io::Result<()> {
        self.learners.next(each).await
    }
}
