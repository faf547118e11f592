//! The local addresses, and the interface that alone has each.

use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, btf_maps::HashMap, macros::btf_map};
use pinif_ebpf::key::{Address, AddressKey, IfIndex, NetNsCookie};

/// A local address's only interface; [`IfIndex::NONE`] where several have it, or a loopback device.
#[btf_map]
static ADDRESSES: HashMap<AddressKey, IfIndex, 131072, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// The interface that alone has the address, [`IfIndex::NONE`] if it is local but none has it alone; nothing if it is
/// not local.
#[inline(always)]
pub fn of(netns: NetNsCookie, address: &Address) -> Option<IfIndex> {
    let key = AddressKey {
        netns,
        address: *address,
    };
    // SAFETY: the value is one word; it is read at once.
    unsafe { ADDRESSES.get(&key) }.copied()
}

/// The words of the address, if it is local; else zeros: others choose those.
#[inline(always)]
pub fn local(netns: NetNsCookie, address: &Address) -> [u64; 2] {
    if of(netns, address).is_some() {
        address.words()
    } else {
        [0; 2]
    }
}
