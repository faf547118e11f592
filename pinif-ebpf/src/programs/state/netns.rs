//! The namespace that a packet is in. No helper gives it to a traffic program on all supported kernels, so each namespace
//! has entry programs of its own (`hooks/entry.rs`), which have its cookie as a constant. They write it here and go on with
//! the traffic program: that is large, and is loaded, and verified, once.

use core::arch::asm;

use aya_ebpf::{
    btf_maps::{PerCpuArray, ProgramArray},
    macros::btf_map,
    programs::TcContext,
};
use pinif_ebpf::{entry::PLACEHOLDER, key::NetNsCookie};

/// This CPU's packet's. Traffic programs do not interrupt each other.
#[btf_map]
static NETNS: PerCpuArray<u64, 1> = PerCpuArray::new();

/// The traffic programs, for the entry programs' tail calls, by the places of [`pinif_ebpf::entry`]. Named by them only.
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

/// The namespace of an entry program: a constant, which userspace puts in the placeholder's place (`kernel/entry.rs`).
#[inline(always)]
pub fn of_entry() -> NetNsCookie {
    let cookie: u64;
    // SAFETY: it sets a register. Written so that it is one instruction (`BPF_LD | BPF_IMM | BPF_DW`), which is found by its constant.
    unsafe {
        asm!(
            "{cookie} = {placeholder} ll",
            cookie = out(reg) cookie,
            placeholder = const PLACEHOLDER.0,
            options(nomem, nostack, pure),
        );
    }
    NetNsCookie(cookie)
}

/// Goes on with a traffic program, by its place, and does not return; but where there is none.
#[inline(always)]
pub fn go_on(context: &TcContext, netns: NetNsCookie, traffic: u32) {
    if let Some(cookie) = NETNS.get_ptr_mut(0) {
        // SAFETY: the entry is this CPU's own.
        unsafe { cookie.write_volatile(netns.0) };
    }
    // With a constant place, it is a direct jump (`bpf_arch_poke`).
    // SAFETY: context and map are the program's.
    unsafe { TRAFFIC.tail_call(context, traffic) };
}
