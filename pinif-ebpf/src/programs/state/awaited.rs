//! Sockets that are to receive what arrived where it should not, each with the finding of that: what netfilter, XFRM or the reverse path filter
//! drop behind TC ingress is never given to them.

use aya_ebpf::{Global, bindings::BPF_ANY, btf_maps::LruHashMap, macros::btf_map};
use pinif_ebpf::{
    intent::{SocketRecord, flag},
    key::SocketCookie,
    sighting::FindingKey,
};

/// Not zero: the hook at the sockets sees all of them, and not only those that the other hooks have seen. Userspace sets it before the
/// programs are loaded.
#[unsafe(no_mangle)]
static HEARS_ALL: Global<u32> = Global::new(0);

#[btf_map]
static AWAITED: LruHashMap<SocketCookie, FindingKey, 4096> = LruHashMap::new();

/// Whether the hook sees what a socket receives.
#[inline(always)]
pub fn is_seen(record: Option<&SocketRecord>) -> bool {
    HEARS_ALL.load() != 0 || record.is_some_and(|record| record.has(flag::HOOKED))
}

/// Which finding the packet was of that arrived last for the socket.
#[inline(always)]
pub fn by(socket: SocketCookie) -> Option<&'static FindingKey> {
    // SAFETY: where the table is full, an entry is reused, and then another's, which is looked at as that.
    unsafe { AWAITED.get(&socket) }
}

/// A packet of this finding is to be given to the socket.
#[inline(always)]
pub fn note(socket: SocketCookie, key: &FindingKey) {
    // The table makes room for it.
    let _ = AWAITED.insert(&socket, key, u64::from(BPF_ANY));
}
