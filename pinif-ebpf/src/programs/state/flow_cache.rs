//! The cached verdicts that belong to no socket's record.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use pinif_ebpf::verdict_cache::{CELL_BITS, FlowCache};

/// The entries of packets of one class: what this host forwards, and what sockets send that have no entry yet.
#[btf_map]
static FLOW_CACHE: Array<u64, { 1 << CELL_BITS }> = Array::new();

/// [`FLOW_CACHE`].
pub struct FlowCacheMap;

impl FlowCache for FlowCacheMap {
    #[inline(always)]
    fn entry(&self, place: u32) -> u64 {
        FLOW_CACHE.get_ptr(place).map_or(0, |place| {
            // SAFETY: an aligned word of the map; other CPUs write it at once.
            unsafe { place.read_volatile() }
        })
    }

    #[inline(always)]
    fn put(&self, place: u32, entry: u64) {
        if let Some(place) = FLOW_CACHE.get_ptr_mut(place) {
            // SAFETY: an aligned word of the map, written at once.
            unsafe { place.write_volatile(entry) };
        }
    }
}
