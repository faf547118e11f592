//! What may arrive by which interface, as userspace computed it.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::{
    key::{IfIndex, InterfaceKey, NetNsCookie},
    policy::Slot,
    verdict::arrival::IngressPolicy,
};

/// Of all interfaces, where the policy keeps anything inside; otherwise empty.
#[btf_map]
static INGRESS_POLICY: HashMap<
    InterfaceKey,
    IngressPolicy,
    131072,
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

/// What may arrive by an interface.
#[inline(always)]
pub fn of(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> Option<&'static IngressPolicy> {
    let key = InterfaceKey {
        netns,
        interface,
        slot,
    };
    // SAFETY: entries are freed after an RCU grace period, and replaced as a whole.
    unsafe { INGRESS_POLICY.get(&key) }
}
