//! Reading what the programs counted: the truth, of which sightings are only a hint.

use std::{
    ops::ControlFlow,
    os::fd::{AsFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, PerCpuArray},
};
use pinif_ebpf::{
    intent::Flow,
    key::{Endpoint, NetNsCookie},
    loss::Loss,
    share::{ShareKey, charged},
    sighting::{CellKey, Count, FindingKey, FindingState, FindingValue},
};

use super::{
    batch::Batches,
    fill::{Endpoints, Fill, capacity},
    lingering::Lingering,
    object::take_map,
    steady::{Findings, SteadyFlows},
};

/// The counters of a loaded object.
pub struct Counters {
    /// The number of each cell.
    cells: HashMap<MapData, CellKey, u32>,
    /// What is counted under each number.
    counts: PerCpuArray<MapData, Count>,
    findings: HashMap<MapData, FindingKey, FindingValue>,
    /// The same table's descriptor, which aya does not give.
    findings_descriptor: OwnedFd,
    /// What is not in the findings yet.
    steady: SteadyFlows,
    /// How many findings were removed, of each who had them.
    released: HashMap<MapData, ShareKey, u64>,
    losses: PerCpuArray<MapData, u64>,
    endpoints: Endpoints,
    lingering: Lingering,
    /// How many cells and findings there is room for.
    room: (u64, u64),
}

impl Counters {
    /// Takes the maps of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let endpoints = Endpoints::open(ebpf)?;
        let steady = SteadyFlows::open(ebpf)?;
        let lingering = Lingering::open(ebpf)?;
        let mut take = |name| take_map(ebpf, name);
        let cells = take("CELLS")?;
        let findings = take("FINDINGS")?;
        let room = (capacity(&cells)?, capacity(&findings)?);
        let Map::HashMap(data) = &findings else {
            bail!("the eBPF object's map FINDINGS is of another type");
        };
        Ok(Self {
            findings_descriptor: data.fd().as_fd().try_clone_to_owned()?,
            cells: cells.try_into()?,
            counts: take("COUNTS")?.try_into()?,
            findings: findings.try_into()?,
            steady,
            released: take("RELEASED")?.try_into()?,
            losses: take("LOSSES")?.try_into()?,
            endpoints,
            lingering,
            room,
        })
    }

    /// Gives the sockets that were closed in a namespace, until `take` wants no more: the local endpoint that each has sent from, and who
    /// had it. As many of the latest as there is room for.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn closed(
        &self,
        netns: NetNsCookie,
        take: impl FnMut(Endpoint, Flow) -> ControlFlow<()>,
    ) -> Result<()> {
        let read = "the sockets that were closed cannot be read from their map";
        self.lingering.each(netns, take).context(read)
    }

    /// The cells of the matrix, summed over the CPUs.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn cells(&self) -> Result<Vec<(CellKey, Count)>> {
        let read = "the matrix cannot be read from its map";
        self.cells
            .iter()
            .map(|cell| {
                let (key, number) = cell.context(read)?;
                let per_cpu = self.counts.get(&number, 0).context(read)?;
                let mut sum = Count::default();
                for &count in per_cpu.iter() {
                    sum += count;
                }
                Ok((key, sum))
            })
            .collect()
    }

    /// One finding, with its counter, its first packet and what it has seen.
    pub fn finding(&self, key: &FindingKey) -> Option<FindingState> {
        self.value(key).map(|FindingValue { state, .. }| state)
    }

    /// All that the kernel has of one finding.
    pub fn value(&self, key: &FindingKey) -> Option<FindingValue> {
        self.values(std::iter::once(key)).pop().flatten()
    }

    /// The same of several, in the order of their keys; nothing of one that is not there.
    pub fn values<'a>(
        &self,
        keys: impl Iterator<Item = &'a FindingKey>,
    ) -> Vec<Option<FindingValue>> {
        let read = |key| Some((key, self.findings.get(key, 0).ok()?));
        let found: Vec<Option<(&FindingKey, FindingValue)>> = keys.map(read).collect();
        // After all of them.
        let add = self.steady.adder();
        let counted = |(key, mut value): (&FindingKey, FindingValue)| {
            add.as_ref().ok()?(key, &mut value);
            Some(value)
        };
        found.into_iter().map(|one| one.and_then(counted)).collect()
    }

    /// Removes a finding that nothing is counted for any more: the next packet like it is a first one again.
    pub fn forget(&mut self, key: &FindingKey) {
        // Where it is not there, there is nothing to forget.
        if self.findings.remove(key).is_err() {
            return;
        }
        if let Some((user, class)) = charged(key) {
            for share in user.into_iter().chain([class]) {
                let released = self.released.get(&share, 0).unwrap_or_default();
                // Where there is no room, the share stays smaller: nothing is lost by it but a finding of its own.
                let _ = self.released.insert(share, released + 1, 0);
            }
        }
    }

    /// All findings, each with its counter, its first packet and what it has seen, some at a time.
    ///
    /// # Errors
    ///
    /// When a map's descriptor cannot be duplicated.
    pub fn findings(&self) -> Result<Findings> {
        Ok(Findings {
            batches: Batches::of(self.findings_descriptor.try_clone()?),
            steady: self.steady.reader()?,
        })
    }

    /// How full the tables are that packets and sockets fill, with so many cells and findings.
    pub fn fills(&self, cells: u64, findings: u64) -> [Fill; 3] {
        let fill = |map, entries, capacity| Fill {
            map,
            entries,
            capacity,
        };
        [
            fill("cells", cells, self.room.0),
            fill("findings", findings, self.room.1),
            self.endpoints.fill(),
        ]
    }

    /// What was lost, by place; only where something was.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn losses(&self) -> Result<Vec<(Loss, u64)>> {
        let mut lost = Vec::new();
        for loss in Loss::ALL {
            let sum = self.lost(loss)?;
            if sum > 0 {
                lost.push((loss, sum));
            }
        }
        Ok(lost)
    }

    /// What was lost at one place.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn lost(&self, loss: Loss) -> Result<u64> {
        let per_cpu = self
            .losses
            .get(&(loss as u32), 0)
            .context("the counters of losses cannot be read from their map")?;
        Ok(per_cpu.iter().sum())
    }
}
