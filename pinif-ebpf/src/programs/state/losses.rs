//! Counters of what was lost, by place ([`Loss`]).

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::loss::Loss;

use super::findings::atomic_add;

#[btf_map]
static LOSSES: PerCpuArray<u64, { Loss::ALL.len() }> = PerCpuArray::new();

/// Counts one loss.
#[inline(always)]
pub fn add(loss: Loss) {
    if let Some(counter) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: an entry of the map. Atomic: a program at a cgroup may be interrupted by a traffic program.
        unsafe { atomic_add(counter, 1) };
    }
}
