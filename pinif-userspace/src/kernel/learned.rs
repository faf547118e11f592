//! Reading what the programs have learned.

use std::{collections::HashMap, io, os::fd::AsFd as _};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf, Pod,
    maps::{Map, MapData},
};
use pinif_ebpf::learned::{LearnedKey, LearnedProcess, LearnedSender, LearnedState, Learner};

use super::{batch::Batches, object::take_map, ring::Ring};

/// The table of what is sent by whom, that of who sends, and the ring buffer that reports who is new in it.
pub struct Learned {
    /// Its descriptor stays open, and that of the next: programs that are loaded later name the maps by them.
    table: MapData,
    senders: MapData,
    learners: Ring<Learner>,
}

/// All that is in the tables.
pub struct LearnedTable {
    /// The entries, those first that were entered first.
    pub entries: Vec<(LearnedKey, LearnedState)>,
    /// Who sends, by number.
    pub senders: HashMap<u32, (LearnedSender, LearnedProcess)>,
}

impl Learned {
    /// Takes the maps of a loaded object. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            table: table(ebpf, "LEARNED")?,
            senders: table(ebpf, "LEARNED_SENDERS")?,
            learners: Ring::open(ebpf)?,
        })
    }

    /// All that was learned.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn read(&self) -> Result<LearnedTable> {
        let mut entries: Vec<(LearnedKey, LearnedState)> = all(&self.table)?;
        entries.sort_unstable_by_key(|(key, state)| (state.first, *key));
        // After the entries: who sends is entered before what is sent.
        let senders = all::<LearnedSender, LearnedProcess>(&self.senders)?.into_iter();
        let senders = senders.map(|(sender, process)| (process.number, (sender, process)));
        Ok(LearnedTable {
            entries,
            senders: senders.collect(),
        })
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

fn table(ebpf: &mut Ebpf, name: &str) -> Result<MapData> {
    let Map::HashMap(table) = take_map(ebpf, name)? else {
        bail!("the eBPF object's map {name} is of another type");
    };
    Ok(table)
}

fn all<K: Pod, V: Pod>(map: &MapData) -> Result<Vec<(K, V)>> {
    let mut batches = Batches::<K, V, _>::of(map.fd().as_fd());
    let mut entries = Vec::new();
    while let Some(batch) = batches
        .next()
        .context("what was learned cannot be read from its map")?
    {
        entries.extend(batch);
    }
    Ok(entries)
}
