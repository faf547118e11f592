//! Ports whose sockets are to receive what arrived where it should not, each with the finding of that: what netfilter, XFRM or the reverse path
//! filter drop behind TC ingress is never given to them.
//!
//! By the port, and not by the socket: of several with one port, the kernel may choose another for the packet than a look-up does
//! (`SO_ATTACH_REUSEPORT_EBPF`).

use aya_ebpf::{
    Global,
    bindings::BPF_ANY,
    btf_maps::{Array, LruHashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    intent::{SocketRecord, flag},
    key::IfIndex,
    sighting::FindingKey,
};

/// Not zero: the hook at the sockets sees all of them, and not only those that the other hooks have seen. Userspace sets it before the
/// programs are loaded.
#[unsafe(no_mangle)]
static HEARS_ALL: Global<u32> = Global::new(0);

#[btf_map]
static AWAITED: LruHashMap<u64, FindingKey, 4096> = LruHashMap::new();

/// Not zero once anything was awaited: until then, no packet that is received costs a look-up.
#[btf_map]
static AWAITS: Array<u32, 1> = Array::new();

/// Whether the hook sees what a socket receives.
#[inline(always)]
pub fn is_seen(record: Option<&SocketRecord>) -> bool {
    HEARS_ALL.load() != 0 || record.is_some_and(|record| record.has(flag::HOOKED))
}

/// A port, where a socket sees packets come by this interface.
#[inline(always)]
const fn place(interface: IfIndex, protocol: u8, port: u16) -> u64 {
    (interface.0 as u64) << 32 | (protocol as u64) << 16 | port as u64
}

/// Which finding the packet was of that arrived last for a port by an interface.
#[inline(always)]
pub fn by(interface: IfIndex, protocol: u8, port: u16) -> Option<&'static FindingKey> {
    if AWAITS.get(0).is_none_or(|&any| any == 0) {
        return None;
    }
    // SAFETY: where the table is full, an entry is reused, and then another's, which is looked at as that.
    unsafe { AWAITED.get(&place(interface, protocol, port)) }
}

/// A packet of this finding is to be given to a socket of the port.
#[inline(always)]
pub fn note(interface: IfIndex, protocol: u8, port: u16, key: &FindingKey) {
    // The table makes room for it.
    let _ = AWAITED.insert(&place(interface, protocol, port), key, u64::from(BPF_ANY));
    if let Some(any) = AWAITS.get_ptr_mut(0) {
        // SAFETY: an aligned word of the map, which all write the same to; it is written once, so that CPUs need not share the line.
        unsafe {
            if any.read_volatile() == 0 {
                any.write_volatile(1);
            }
        }
    }
}
