//! The ports of bridges that are audited themselves: what a bridge sends has been counted on it, and bears no mark of
//! that.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    lower_devices::DeviceKey,
};

/// The bridge of a port.
#[btf_map]
static BRIDGES: HashMap<DeviceKey, IfIndex, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// How many ports there are: where there are none, no packet costs a look-up.
#[btf_map]
static BRIDGED: Array<u32, 1> = Array::new();

/// The bridge that this interface is a port of; none if it is of none that is audited.
#[inline(always)]
pub fn of(netns: NetNsCookie, port: IfIndex) -> IfIndex {
    if BRIDGED.get(0).is_none_or(|&ports| ports == 0) {
        return IfIndex::NONE;
    }
    let key = DeviceKey {
        netns,
        device: port,
        _pad: 0,
    };
    // SAFETY: the value is one word; it is read at once.
    unsafe { BRIDGES.get(&key) }
        .copied()
        .unwrap_or(IfIndex::NONE)
}
