//! By which interface the last packet of each host came to a UDP server that is bound to nothing, where replies are audited.

use aya_ebpf::{Global, bindings::BPF_ANY, btf_maps::LruHashMap, macros::btf_map};
use pinif_ebpf::{
    capacity,
    heard::{HeardKey, Replies},
    key::IfIndex,
};

/// Which replies are audited ([`Replies`]). Userspace sets it before the programs are loaded, so that the verifier leaves out what is for them where
/// they are not.
#[unsafe(no_mangle)]
static REPLIES: Global<u32> = Global::new(0);

#[btf_map]
static HEARD: LruHashMap<HeardKey, IfIndex, { capacity::heard(capacity::SOCKETS) as usize }> =
    LruHashMap::new();

/// Whether replies are audited.
#[inline(always)]
pub fn is_audited() -> bool {
    REPLIES.load() != Replies::None as u32
}

/// Which replies are audited.
#[inline(always)]
pub fn audited() -> Replies {
    if REPLIES.load() == Replies::Leaks as u32 {
        Replies::Leaks
    } else {
        Replies::All
    }
}

/// By which interface the last packet of this host came to the socket; none, if it has none.
#[inline(always)]
pub fn by(key: &HeardKey) -> IfIndex {
    // SAFETY: a word, read at once; where the table is full, an entry is reused and then another host's.
    unsafe { HEARD.get(key) }.copied().unwrap_or(IfIndex::NONE)
}

/// It came by this one.
#[inline(always)]
pub fn note(key: &HeardKey, interface: IfIndex) {
    // The table makes room for it.
    let _ = HEARD.insert(key, &interface, u64::from(BPF_ANY));
}
