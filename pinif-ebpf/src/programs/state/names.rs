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

/// Whether userspace knows the interface by the name that it has at this instant.
#[inline(always)]
pub fn is_known(netns: NetNsCookie, device: Device) -> bool {
    of(netns, device.index()).is_some_and(|name| name.words() == device.name().until_zero())
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
