//! pinif's eBPF programs: thin hooks over the pure decision of this crate's library.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod arrival_world;
#[cfg(target_arch = "bpf")]
mod capture;
#[cfg(target_arch = "bpf")]
mod enforce;
#[cfg(target_arch = "bpf")]
mod hooks;
#[cfg(target_arch = "bpf")]
mod identity;
#[cfg(target_arch = "bpf")]
mod inner;
#[cfg(target_arch = "bpf")]
mod judging;
#[cfg(target_arch = "bpf")]
mod keep_out;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod layers;
#[cfg(target_arch = "bpf")]
mod learn;
#[cfg(target_arch = "bpf")]
mod map_world;
#[cfg(target_arch = "bpf")]
mod multipath;
#[cfg(target_arch = "bpf")]
mod receiver;
#[cfg(target_arch = "bpf")]
mod recheck;
#[cfg(target_arch = "bpf")]
mod recheck_arrival;
#[cfg(target_arch = "bpf")]
mod sender;
#[cfg(target_arch = "bpf")]
mod state;
#[cfg(target_arch = "bpf")]
mod tunnel;
#[cfg(target_arch = "bpf")]
mod verdict_cache;
#[cfg(target_arch = "bpf")]
mod verified_once;
#[cfg(target_arch = "bpf")]
mod words;

/// Reads a place in a map anew, of which the verifier then knows nothing.
///
/// It follows each way through the program for as long as the ways differ in what is known of any value. Where all that
/// was decided so far has been written to a map, this makes the ways one.
#[cfg(target_arch = "bpf")]
#[inline(always)]
fn reread<T: Copy>(place: &T) -> T {
    // SAFETY: a valid reference; volatile, so that the compiler does not remember either.
    unsafe { core::ptr::from_ref(place).read_volatile() }
}

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
