//! Room for what is told of a packet that arrives, one for each CPU: traffic programs do not interrupt each other.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{
    packet::{Packet, base::Base},
    policy::RuleSet,
    sighting::{FindingKey, FindingValue},
};

/// What a run of the program for what arrives works on.
#[repr(C)]
pub struct Arriving {
    /// The fixed part of its header.
    pub base: Base,
    /// Its headers.
    pub packet: Packet,
    /// Those of a packet that would answer it.
    pub reply: Packet,
    /// The rules for that, by what is in it.
    pub rules: RuleSet,
    /// The rules for the cgroup of the socket that takes it.
    pub cgroup_rules: RuleSet,
    /// The finding's key.
    pub key: FindingKey,
    /// The finding's entry, if it is new.
    pub new: FindingValue,
}

#[btf_map]
static ARRIVING: PerCpuArray<Arriving, 1> = PerCpuArray::new();

/// This CPU's own.
#[inline(always)]
pub fn get() -> Option<&'static mut Arriving> {
    let arriving = ARRIVING.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and this is called once in a run.
    Some(unsafe { &mut *arriving })
}
