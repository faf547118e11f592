//! Who carries whom, as userspace computed it.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::{
    carrier::{CarrierKey, flags},
    key::{IfIndex, NetNsCookie},
};

#[btf_map]
static CARRIERS: HashMap<CarrierKey, u32, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Whether `lower` carries the packets of `upper`.
#[inline(always)]
pub fn carries(netns: NetNsCookie, upper: IfIndex, lower: IfIndex) -> bool {
    find(netns, upper, lower) != 0
}

/// Whether it does, and they were counted on `upper`, and bear no mark of that.
#[inline(always)]
pub fn carries_unmarked(netns: NetNsCookie, upper: IfIndex, lower: IfIndex) -> bool {
    find(netns, upper, lower) & flags::COUNTED != 0
}

#[inline(always)]
fn find(netns: NetNsCookie, upper: IfIndex, lower: IfIndex) -> u32 {
    let key = CarrierKey {
        netns,
        upper,
        lower,
    };
    // SAFETY: the value is one word; it is read at once.
    unsafe { CARRIERS.get(&key) }.copied().unwrap_or(0)
}
