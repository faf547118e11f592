//! The matrix: exact counts by bound device, egress interface and verdict.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::PerCpuHashMap,
    macros::btf_map,
};
use pinif_ebpf::{
    loss::Loss,
    sighting::{CellKey, Count},
};

use super::losses;

#[btf_map]
static CELLS: PerCpuHashMap<CellKey, Count, 16384, { BPF_F_NO_PREALLOC as usize }> =
    PerCpuHashMap::new();

/// Adds a packet to its cell. No lock: the entry is this CPU's own, and traffic programs do not interrupt each other.
#[inline(always)]
pub fn add(key: &CellKey, count: Count) {
    let cell = CELLS.get_ptr_mut(key).or_else(|| {
        // Fails where another CPU was first, which is as good.
        let _ = CELLS.insert(key, Count::default(), u64::from(BPF_NOEXIST));
        CELLS.get_ptr_mut(key)
    });
    match cell {
        Some(cell) => {
            // SAFETY: as said above.
            unsafe {
                (*cell).packets += count.packets;
                (*cell).bytes += count.bytes;
            }
        }
        None => losses::add(Loss::CellsFull),
    }
}
