//! Who carries whom, as userspace computed it.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::{
    carrier::CarrierKey,
    key::{IfIndex, NetNsCookie},
};

#[btf_map]
static CARRIERS: HashMap<CarrierKey, u32, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Whether `lower` carries the packets of `upper`.
#[inline(always)]
pub fn carries(netns: NetNsCookie, upper: IfIndex, lower: IfIndex) -> bool {
    CARRIERS
        .get_ptr(&CarrierKey {
            netns,
            upper,
            lower,
        })
        .is_some()
}
