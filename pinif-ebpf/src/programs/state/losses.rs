//! Counters of what was lost, by place ([`Loss`]).

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::loss::Loss;

#[btf_map]
static LOSSES: PerCpuArray<u64, { Loss::ALL.len() }> = PerCpuArray::new();

/// Counts one loss.
#[inline(always)]
pub fn add(loss: Loss) {
    if let Some(counter) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: the entry is this CPU's own.
        unsafe { *counter += 1 };
    }
}
