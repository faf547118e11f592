//! A pin's eBPF programs, attached to one cgroup: sockets are bound to the device from birth, stay bound, send by it, and join
//! groups there.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod arrive;
#[cfg(target_arch = "bpf")]
mod create;
#[cfg(target_arch = "bpf")]
mod egress;
#[cfg(target_arch = "bpf")]
mod groups;
#[cfg(target_arch = "bpf")]
mod setsockopt;
#[cfg(target_arch = "bpf")]
mod state;
#[cfg(target_arch = "bpf")]
mod subflow;

/// What a hook answers so that the system call goes on, or the packet.
#[cfg(target_arch = "bpf")]
const ALLOW: i32 = 1;
/// What it answers to end it: the caller gets `EPERM`, unless the hook says otherwise.
#[cfg(target_arch = "bpf")]
const REFUSE: i32 = 0;

/// Reads a member of a context or a socket: a volatile load, so that the compiler neither widens, merges nor moves it,
/// which the verifier would refuse.
#[cfg(target_arch = "bpf")]
macro_rules! member {
    ($structure:expr, $($member:ident).+) => {
        // SAFETY: the pointer is valid for the program's run, and the verifier checks the access.
        unsafe { (&raw const (*$structure).$($member).+).read_volatile() }
    };
}
#[cfg(target_arch = "bpf")]
use member;

/// The helpers that are for GPL programs only (`bpf_probe_read_kernel`, …) want this licence of the programs.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The host has no use for the programs; this lets the workspace's tools look at the crate.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
