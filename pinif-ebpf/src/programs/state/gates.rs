//! What may arrive by which interface, as userspace computed it.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::{
    key::{IfIndex, InterfaceKey, NetNsCookie},
    policy::Slot,
    verdict::arrival::Gate,
};

/// Of all interfaces, where the policy keeps anything inside; otherwise empty.
#[btf_map]
static GATES: HashMap<InterfaceKey, Gate, 131072, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// The gate of an interface.
#[inline(always)]
pub fn of(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> Option<&'static Gate> {
    let key = InterfaceKey {
        netns,
        interface,
        slot,
    };
    // SAFETY: entries are freed after an RCU grace period, and replaced as a whole.
    unsafe { GATES.get(&key) }
}
