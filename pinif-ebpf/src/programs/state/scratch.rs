//! Room for what would fill the stack, one for each CPU: traffic programs do not interrupt each other.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{
    intent::Flow,
    key::Endpoint,
    packet::Packet,
    policy::{Active, InForce},
    sighting::{FindingKey, NewFinding},
    verdict_cache::Coverage,
};

use super::{findings::Sampling, policy};
use crate::{multipath::Connection, recheck::RecheckState, tunnel::Layer};

/// What a run of the traffic program works on.
#[repr(C)]
pub struct Scratch {
    /// What is in force for this packet: it is read once, so that no packet sees half a policy.
    in_force: InForce,
    /// The address of the `struct sk_buff`: the verifier allows no arithmetic on the context.
    pub skb: u64,
    /// Not zero: the packet's headers could be read.
    pub has_packet: u32,
    /// Not zero: they should have been, but are broken or too many.
    pub is_malformed: u32,
    /// The packet's headers.
    pub packet: Packet,
    /// The finding's key.
    pub key: FindingKey,
    /// The finding's entry, if it is new.
    pub new: NewFinding,
    /// The local endpoint that its socket is to be known by.
    pub endpoint: Endpoint,
    /// What is entered for that.
    pub flow: Flow,
    /// Where the packet is counted among its samples.
    pub sampling: Sampling,
    /// The flow whose packets need not be judged anew.
    pub steady: Steady,
    /// The Multipath TCP connection that its socket is a subflow of.
    pub connection: Connection,
    /// What the packet is to its socket.
    pub layer: Layer,
    /// The recheck of its verdict.
    pub recheck: RecheckState,
}

/// A flow that leaks: what the room holds of its last packet is true of its next one, too, as far as no recheck says otherwise.
#[repr(C)]
pub struct Steady {
    /// The digest of all that led to the verdict ([`crate::verdict_cache`]); zero where the packet in work is another's.
    pub digest: u64,
    /// The digest of the packet in work; zero where its verdict holds for no other.
    pub candidate: u64,
    /// The number of the cell that its packets are counted in.
    pub cell: u32,
    /// Whether all that led to the verdict was hashed.
    pub coverage: Coverage,
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
    scratch.steady.digest = 0;
    scratch.steady.candidate = 0;
    scratch.recheck.reset();
    true
}

/// Whether the room holds what is true of packets with this digest.
#[inline(always)]
pub fn holds(digest: u64) -> bool {
    get().is_some_and(|scratch| scratch.steady.digest == digest)
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
