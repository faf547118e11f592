//! The headers that tunnels put before their packets, as userspace read them from the tunnels' settings.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    tunnel::{Signature, TunnelKey},
};

/// For each tunnel, and each interface that it carries, its headers; the value is made of [`pinif_ebpf::tunnel::flags`].
#[btf_map]
static TUNNELS: HashMap<TunnelKey, u32, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// How many there are: where there are none, no packet costs a look-up.
#[btf_map]
static TUNNELED: Array<u32, 1> = Array::new();

/// Whether there is any tunnel.
#[inline(always)]
pub fn any() -> bool {
    TUNNELED.get(0).is_some_and(|&tunnels| tunnels != 0)
}

/// What is known of packets with this header, that `upper` may have sent; [`IfIndex::NONE`] is any.
#[inline(always)]
pub fn find(netns: NetNsCookie, upper: IfIndex, signature: Signature) -> Option<u32> {
    let key = TunnelKey {
        netns,
        upper,
        signature,
    };
    // SAFETY: the value is one word; it is read at once.
    unsafe { TUNNELS.get(&key) }.copied()
}
