//! The interfaces that userspace knows, by the names that it knows them by.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::{
    intent::Name,
    key::{IfIndex, NetNsCookie},
    lower_devices::DeviceKey,
};

use crate::kernel::devices::Device;

#[btf_map]
static NAMES: HashMap<DeviceKey, Name, 131072, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What holds of the device with this index if userspace knows it by the name that it has at this instant, and what does otherwise.
#[inline(always)]
pub fn if_known<T>(
    netns: NetNsCookie,
    index: IfIndex,
    device: Device,
    otherwise: T,
    known: impl FnOnce() -> T,
) -> T {
    match of(netns, index) {
        Some(name) if name.words() == device.name().until_zero() => known(),
        Some(_) | None => otherwise,
    }
}

/// The name that userspace knows the interface by; nothing if it does not know it at all.
#[inline(always)]
pub fn of(netns: NetNsCookie, interface: IfIndex) -> Option<&'static Name> {
    let key = DeviceKey {
        netns,
        device: interface,
        _pad: 0,
    };
    // SAFETY: entries are freed after an RCU grace period; one that is written anew is compared with the live name, and a
    // torn one is none.
    unsafe { NAMES.get(&key) }
}
