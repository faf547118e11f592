//! What each CPU has counted of a flow that leaks there, and what is read of a finding with it. See [`pinif_ebpf::steady`].

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use pinif_ebpf::{
    sighting::{FindingKey, FindingValue},
    steady::SteadyFlow,
};

use super::{batch::Batches, object::take_map};

/// The map.
pub(super) const NAME: &str = "STEADY";

/// How many entries the map has: one for each CPU that there may be (`/sys/devices/system/cpu/possible`, whose last number is the highest).
///
/// # Errors
///
/// When the kernel does not say it.
pub fn entries() -> Result<u32> {
    let file = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?;
    let last = highest(&text).with_context(|| format!("{file} names no CPU: {text}"))?;
    Ok(last + 1)
}

fn highest(possible: &str) -> Option<u32> {
    possible.trim().rsplit([',', '-']).next()?.parse().ok()
}

/// What each CPU has counted by itself.
pub(super) struct SteadyFlows {
    /// Its descriptor stays open: programs that are loaded later name the map by it.
    table: MapData,
    entries: usize,
}

impl SteadyFlows {
    /// Of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks the map, or has it in another shape.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let Map::Array(table) = take_map(ebpf, NAME)? else {
            bail!("the eBPF object's map {NAME} is of another type");
        };
        let info = table.info().context("a map's size cannot be read")?;
        Ok(Self {
            table,
            entries: info.max_entries() as usize,
        })
    }

    /// As [`Reader::adder`].
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub(super) fn adder(&self) -> io::Result<impl Fn(&FindingKey, &mut FindingValue) + use<>> {
        adder(self.table.fd().as_fd(), self.entries)
    }

    /// What reads it when this is held no longer.
    ///
    /// # Errors
    ///
    /// When the map's descriptor cannot be duplicated.
    pub(super) fn reader(&self) -> io::Result<Reader> {
        Ok(Reader {
            map: self.table.fd().as_fd().try_clone_to_owned()?,
            entries: self.entries,
        })
    }
}

/// Reads what each CPU has counted by itself.
pub(super) struct Reader {
    map: OwnedFd,
    entries: usize,
}

impl Reader {
    /// Adds to findings what the CPUs have counted of them. They were read before this is called: see [`SteadyFlow`].
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub(super) fn adder(&self) -> io::Result<impl Fn(&FindingKey, &mut FindingValue) + use<>> {
        adder(self.map.as_fd(), self.entries)
    }
}

fn adder(
    map: BorrowedFd<'_>,
    entries: usize,
) -> io::Result<impl Fn(&FindingKey, &mut FindingValue) + use<>> {
    let mut flows: Vec<SteadyFlow> = Vec::new();
    let mut batches = Batches::<u32, SteadyFlow, _>::locked(map, entries);
    while let Some(batch) = batches.next()? {
        let counted = batch.map(|(_, flow)| flow);
        flows.extend(counted.filter(|flow| flow.count.packets != 0));
    }
    Ok(move |key: &FindingKey, value: &mut FindingValue| {
        for flow in &flows {
            flow.add_to(key, &mut value.state);
        }
    })
}

/// All findings, some at a time, each with what the CPUs have counted of it.
pub struct Findings {
    pub(super) batches: Batches<FindingKey, FindingValue>,
    pub(super) steady: Reader,
}

impl Findings {
    /// The next ones; nothing at the end.
    ///
    /// # Errors
    ///
    /// The kernel's, for a map of another type or size.
    pub fn next(&mut self) -> io::Result<Option<impl Iterator<Item = (FindingKey, FindingValue)>>> {
        let Some(batch) = self.batches.next()? else {
            return Ok(None);
        };
        let add = self.steady.adder()?;
        Ok(Some(batch.map(move |(key, mut value)| {
            add(&key, &mut value);
            (key, value)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cpu_is_the_last_one() {
        let all = ["0\n", "0-127\n", "0-3,8-11\n", "0,2\n"].map(highest);
        assert_eq!(all, [Some(0), Some(127), Some(11), Some(2)]);
        assert_eq!(highest("\n"), None);
    }
}
