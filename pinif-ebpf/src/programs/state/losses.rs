//! Counters of what was lost, by place ([`Loss`]).

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{loss::Loss, wake::Sleeper};

use super::{findings::atomic_add, wakes::wake};

#[btf_map]
static LOSSES: PerCpuArray<u64, { Loss::ALL.len() }> = PerCpuArray::new();

/// Counts one loss.
#[inline(always)]
pub fn add(loss: Loss) {
    pinif_lose(loss as u32);
}

/// The same without a call: for what `connect()` and `sendmsg()` may lose. Nearly every one of them passes by it, and that its function
/// has such a call costs it an instruction.
#[inline(always)]
pub fn add_inline(loss: Loss) {
    count(loss as u32);
}

/// Global, so that the verifier goes through it once in a program and not in each place that loses something.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn pinif_lose(loss: u32) -> u64 {
    count(loss);
    0
}

#[inline(always)]
fn count(loss: u32) {
    if let Some(counter) = LOSSES.get_ptr_mut(loss) {
        // SAFETY: an entry of the map. Atomic: a program at a cgroup may be interrupted by a traffic program.
        unsafe { atomic_add(counter, 1) };
    }
    wake(Sleeper::Counters);
}
