//! How full the tables are that packets, sockets and interfaces fill. What finds no room is counted as lost.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData},
};

use super::object::take_map;

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Its name.
    pub map: &'static str,
    /// How many entries it has.
    pub entries: u64,
    /// How many it has room for.
    pub capacity: u64,
}

/// How many entries a hash map has room for.
///
/// # Errors
///
/// When the kernel does not say it.
pub(super) fn capacity(map: &Map) -> Result<u64> {
    let Map::HashMap(data) = map else {
        return Ok(0);
    };
    let info = data.info().context("a map's size cannot be read")?;
    Ok(info.max_entries().into())
}

/// The table of the local endpoints that sockets send from. It is too large to be read for its size, which is the sum of what its
/// users hold.
pub(super) struct Endpoints {
    shares: HashMap<MapData, u32, u64>,
    /// Its descriptor stays open: programs that are loaded later name the map by it.
    _table: Map,
    capacity: u64,
}

impl Endpoints {
    /// Of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks its maps.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let table = take_map(ebpf, "ENDPOINTS")?;
        Ok(Self {
            shares: take_map(ebpf, "ENDPOINT_SHARES")?.try_into()?,
            capacity: capacity(&table)?,
            _table: table,
        })
    }

    pub(super) fn fill(&self) -> Fill {
        // A user that comes meanwhile is in the next one.
        let held = self.shares.iter().filter_map(Result::ok);
        // Two CPUs may have counted one away twice.
        let held = held.map(|(_, held)| held.cast_signed().max(0).cast_unsigned());
        Fill {
            map: "endpoints",
            entries: held.sum(),
            capacity: self.capacity,
        }
    }
}
