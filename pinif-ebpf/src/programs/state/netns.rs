//! The namespace that a packet is in. No helper gives it to a traffic program on all supported kernels, so each namespace
//! has an entry program of its own (`kernel/entry.rs` of userspace), a dozen instructions that write its cookie here and
//! go on with the traffic program: that is loaded, and verified, once.

use aya_ebpf::{
    btf_maps::{PerCpuArray, ProgramArray},
    macros::btf_map,
};
use pinif_ebpf::key::NetNsCookie;

/// This CPU's packet's. Traffic programs do not interrupt each other.
#[btf_map]
static NETNS: PerCpuArray<u64, 1> = PerCpuArray::new();

/// The traffic programs, for the entry programs' tail calls: what leaves, and what arrives. Named by them only.
#[btf_map]
static TRAFFIC: ProgramArray<2> = ProgramArray::new();

/// The namespace of the packet in work.
#[inline(always)]
pub fn get() -> NetNsCookie {
    let cookie = NETNS.get_ptr(0).map_or(0, |cookie| {
        // SAFETY: the entry is this CPU's own; volatile, since the entry program has written it.
        unsafe { cookie.read_volatile() }
    });
    NetNsCookie(cookie)
}
