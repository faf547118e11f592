//! Reading what the programs counted: the truth, of which sightings are only a hint.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray},
};
use pinif_ebpf::{
    loss::Loss,
    sighting::{CellKey, Count, FindingKey, FindingValue},
};

/// The counters of a loaded object.
pub struct Counters {
    /// The number of each cell.
    cells: HashMap<MapData, CellKey, u32>,
    /// What is counted under each number.
    counts: PerCpuArray<MapData, Count>,
    findings: HashMap<MapData, FindingKey, FindingValue>,
    losses: PerCpuArray<MapData, u64>,
}

impl Counters {
    /// Takes the maps of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let mut take = |name: &str| {
            ebpf.take_map(name)
                .with_context(|| format!("the eBPF object has no map {name}"))
        };
        Ok(Self {
            cells: take("CELLS")?.try_into()?,
            counts: take("COUNTS")?.try_into()?,
            findings: take("FINDINGS")?.try_into()?,
            losses: take("LOSSES")?.try_into()?,
        })
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

    /// One finding, with its counter and its first packet.
    pub fn finding(&self, key: &FindingKey) -> Option<FindingValue> {
        self.findings.get(key, 0).ok()
    }

    /// Removes a finding that nothing is counted for any more: the next packet like it is a first one again.
    pub fn forget(&mut self, key: &FindingKey) {
        // Where it is not there, there is nothing to forget.
        let _ = self.findings.remove(key);
    }

    /// All findings, each with its counter and its first packet.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn findings(&self) -> Result<Vec<(FindingKey, FindingValue)>> {
        self.findings
            .iter()
            .map(|finding| finding.context("the findings cannot be read from their map"))
            .collect()
    }

    /// What was lost, by place; only where something was.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn losses(&self) -> Result<Vec<(Loss, u64)>> {
        let mut lost = Vec::new();
        for loss in Loss::ALL {
            let per_cpu = self
                .losses
                .get(&(loss as u32), 0)
                .context("the counters of losses cannot be read from their map")?;
            let sum: u64 = per_cpu.iter().sum();
            if sum > 0 {
                lost.push((loss, sum));
            }
        }
        Ok(lost)
    }
}
