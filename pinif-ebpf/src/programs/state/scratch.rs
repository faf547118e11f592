//! Room for what would fill the stack, one for each CPU: traffic programs do not interrupt each other.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{
    packet::Packet,
    policy::{Active, InForce},
    sighting::{FindingKey, NewFinding},
};

use super::policy;
use crate::{recheck::RecheckState, tunnel::Layer};

/// What a run of the traffic program works on.
#[repr(C)]
pub struct Scratch {
    /// What is in force for this packet: it is read once, so that no packet sees half a policy.
    in_force: InForce,
    /// Not zero: the packet's headers could be read.
    pub has_packet: u32,
    /// The packet's headers.
    pub packet: Packet,
    /// The finding's key.
    pub key: FindingKey,
    /// The finding's entry, if it is new.
    pub new: NewFinding,
    /// The bits of its samples that are still to be noted.
    pub missed: u32,
    /// What the packet is to its socket.
    pub layer: Layer,
    /// The recheck of its verdict.
    pub recheck: RecheckState,
}

#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// Begins with a packet. False where this CPU has no room: never.
#[inline(always)]
pub fn begin(in_force: InForce) -> bool {
    let Some(scratch) = get() else {
        return false;
    };
    scratch.in_force = in_force;
    true
}

/// What the packet in work has so far, and the policy that it is judged by.
///
/// Each step of a run asks for it anew, and holds it no longer than until it calls the next.
#[inline(always)]
pub fn in_work() -> Option<(&'static mut Scratch, &'static Active)> {
    let scratch = get()?;
    let active = policy::active(scratch.in_force)?;
    Some((scratch, active))
}

/// What the packet in work has so far, for a step that asks for nothing of the policy.
#[inline(always)]
pub fn get() -> Option<&'static mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and the steps of a run hold it one after the other.
    Some(unsafe { &mut *scratch })
}
