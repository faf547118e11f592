//! The namespaces that userspace knows of, and the news of others.

use aya_ebpf::{
    bindings::BPF_ANY,
    btf_maps::{LruHashMap, RingBuf},
    macros::btf_map,
};
use pinif_ebpf::{arrival::Arrival, key::NetNsCookie};

/// Those that were told of. One that is evicted is told of once more, which costs userspace a look.
#[btf_map]
static TOLD: LruHashMap<NetNsCookie, u32, 16384> = LruHashMap::new();

#[btf_map]
static ARRIVALS: RingBuf<Arrival, { 64 * 1024 }> = RingBuf::new();

/// Notes that a task made a socket in a namespace, and tells userspace of it if it is the first. Where the buffer is full,
/// the next socket tells.
#[inline(always)]
pub fn note(netns: NetNsCookie, task: impl FnOnce() -> u32) {
    if TOLD.get_ptr(&netns).is_some() {
        return;
    }
    let Some(mut record) = ARRIVALS.reserve(0) else {
        return;
    };
    record.write(Arrival {
        netns,
        task: task(),
        _pad: 0,
    });
    record.submit(0);
    let _ = TOLD.insert(&netns, &1, u64::from(BPF_ANY));
}
