//! The namespaces that userspace knows of, and the events of others.

use aya_ebpf::{
    bindings::BPF_ANY,
    btf_maps::{LruHashMap, RingBuf},
    macros::btf_map,
};
use pinif_ebpf::{arrival::NewNamespace, key::NetNsCookie};

/// Those that were reported. One that is evicted is reported once more, which costs userspace a look.
#[btf_map]
static REPORTED: LruHashMap<NetNsCookie, u32, 16384> = LruHashMap::new();

#[btf_map]
static ARRIVALS: RingBuf<NewNamespace, { 64 * 1024 }> = RingBuf::new();

/// Reports the namespace that a task made a socket in, if it is the first. Where the buffer is full, the next socket does.
#[inline(always)]
pub fn report(netns: NetNsCookie, task: impl FnOnce() -> u32) {
    if REPORTED.get_ptr(&netns).is_some() {
        return;
    }
    let Some(mut record) = ARRIVALS.reserve(0) else {
        return;
    };
    record.write(NewNamespace {
        netns,
        task: task(),
        _pad: 0,
    });
    record.submit(0);
    let _ = REPORTED.insert(&netns, &1, u64::from(BPF_ANY));
}
