//! Room for a packet that arrives, one for each CPU: traffic programs do not interrupt each other.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{
    packet::{Packet, base::Base},
    policy::{Active, InForce, RuleSet},
    sighting::{FindingKey, NewFinding},
};

use super::{findings::Sampling, policy};
use crate::recheck_arrival::ArrivalRecheckState;

/// What a run of the program for what arrives works on.
#[repr(C)]
pub struct Arriving {
    /// What is in force for this packet: it is read once, so that no packet sees half a policy.
    in_force: InForce,
    /// The address of the `struct sk_buff`: the verifier allows no arithmetic on the context.
    pub skb: u64,
    /// Not zero: a rule may be broken.
    pub by_rule: u32,
    /// The fixed part of its header.
    pub base: Base,
    /// Its headers.
    pub packet: Packet,
    /// Those of a packet that would answer it.
    pub reply: Packet,
    /// The rules for that, by what is in it.
    pub rules: RuleSet,
    /// The cgroup of the socket that receives it, or one above (`struct cgroup`); zero behind the root.
    pub cgroup: u64,
    /// The rules for that socket's cgroup.
    pub cgroup_rules: RuleSet,
    /// Not zero: a hook sees whether the socket is given the packet.
    pub is_awaited: u32,
    /// Not zero: its headers cannot be read, and a rule may be broken.
    pub is_malformed: u32,
    /// The recheck.
    pub recheck: ArrivalRecheckState,
    /// The finding's key.
    pub key: FindingKey,
    /// The finding's entry, if it is new.
    pub new: NewFinding,
    /// Where the packet is counted among its samples.
    pub sampling: Sampling,
}

#[btf_map]
static ARRIVING: PerCpuArray<Arriving, 1> = PerCpuArray::new();

/// Begins with a packet.
#[inline(always)]
pub fn begin(in_force: InForce) -> Option<&'static mut Arriving> {
    let arriving = get()?;
    arriving.in_force = in_force;
    Some(arriving)
}

/// What the packet in work has so far, and the policy that it is judged by.
///
/// Each step of a run asks for it anew, and holds it no longer than until it calls the next.
#[inline(always)]
pub fn in_work() -> Option<(&'static mut Arriving, &'static Active)> {
    let arriving = get()?;
    let active = policy::active(arriving.in_force)?;
    Some((arriving, active))
}

/// What the packet in work has so far, for a step that asks for nothing of the policy.
#[inline(always)]
pub fn get() -> Option<&'static mut Arriving> {
    let arriving = ARRIVING.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and the steps of a run hold it one after the other.
    Some(unsafe { &mut *arriving })
}
