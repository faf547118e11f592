//! Lower devices, as userspace computed them.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    lower_devices::{LowerDeviceKey, flags},
};

#[btf_map]
static LOWER_DEVICES: HashMap<LowerDeviceKey, u32, 65536, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// Whether `lower` is a lower device of `upper`.
#[inline(always)]
pub fn is_lower_of(netns: NetNsCookie, lower: IfIndex, upper: IfIndex) -> bool {
    find(netns, upper, lower) & flags::IS_LOWER != 0
}

/// Whether the packets that pass both were counted on `upper`, or where its peer sent them, and bear no mark of that.
#[inline(always)]
pub fn is_unmarked_lower_of(netns: NetNsCookie, lower: IfIndex, upper: IfIndex) -> bool {
    find(netns, upper, lower) & flags::COUNTED != 0
}

#[inline(always)]
fn find(netns: NetNsCookie, upper: IfIndex, lower: IfIndex) -> u32 {
    let key = LowerDeviceKey {
        netns,
        upper,
        lower,
    };
    // SAFETY: the value is one word; it is read at once.
    unsafe { LOWER_DEVICES.get(&key) }.copied().unwrap_or(0)
}
