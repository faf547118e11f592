//! Room for what would fill the stack, one for each CPU: traffic programs do not interrupt each other.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{
    packet::Packet,
    sighting::{FindingKey, FindingValue},
};

use crate::{live::Second, tunnel::Layer};

/// What a run of the traffic program works on.
#[repr(C)]
pub struct Scratch {
    /// The packet's headers.
    pub packet: Packet,
    /// The finding's key.
    pub key: FindingKey,
    /// The finding's entry, if it is new.
    pub new: FindingValue,
    /// What the packet is to its socket.
    pub layer: Layer,
    /// The second look at its verdict.
    pub second: Second,
}

#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// This CPU's own.
#[inline(always)]
pub fn get() -> Option<&'static mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and this is called once in a run.
    Some(unsafe { &mut *scratch })
}
