//! Room for what would fill the stack. Each CPU has one for the traffic programs, which do not interrupt each other, and more for the
//! programs that refuse at the cgroup: those run in system calls, and are interrupted by others of their kind and by traffic programs.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::{
    intent::Flow,
    key::{Endpoint, IfIndex},
    packet::Packet,
    policy::{Active, InForce, RuleSet},
    sighting::{FindingKey, NewFinding},
    verdict_cache::Coverage,
};

use super::{
    findings::{Sampling, atomic_add},
    policy,
};
use crate::{kernel::packet::Skb, multipath::Connection, recheck::RecheckState, tunnel::Layer};

/// How many rooms each CPU has. Runs at the cgroup that are interrupted keep theirs meanwhile; a packet whose verdict is cached needs none.
const ROOMS: u32 = 16;
/// The room of the traffic programs.
const TRAFFIC: u32 = 0;

/// What a run of a program works on.
#[repr(C)]
pub struct Scratch {
    /// How many runs at the cgroup have this room, or try to take it.
    takers: u64,
    /// The number of this room.
    room: u64,
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
    /// The one that it was known by before. Here, and not on the stack: before Linux 6.12, the frames of all calls have 512 bytes.
    pub former: Endpoint,
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
    /// Where what it answers came in, where replies are audited; else zero.
    pub heard_by: IfIndex,
    /// Where the packet inside it begins, in bytes from its network header on ([`crate::inner`]).
    pub inner_start: u32,
    /// The headers of that.
    pub inner: Packet,
    /// Not zero: they could be read.
    pub has_inner: u32,
    /// Zero.
    pub _pad: u32,
    /// The recheck of its verdict.
    pub recheck: RecheckState,
    /// The cgroup of the socket that is about to join a group, or one above (`struct cgroup`); zero behind the root.
    pub cgroup: u64,
    /// The rules for that socket's cgroup.
    pub cgroup_rules: RuleSet,
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
    /// Not zero: the packets of the flow are counted by this CPU alone ([`super::steady`]), and are in the finding later.
    pub is_apart: u32,
    /// Zero.
    pub _pad: u32,
}

#[btf_map]
static SCRATCH: PerCpuArray<Scratch, { ROOMS as usize }> = PerCpuArray::new();

/// The room of the traffic programs is the packet's. Returns what its control block said instead, for [`Skb::set_room`].
#[inline(always)]
pub fn enter(skb: Skb) -> u32 {
    let before = skb.room();
    skb.set_room(TRAFFIC);
    before
}

/// Whether the packet in work is at the cgroup, where it begins with its IP header.
#[inline(always)]
pub fn is_at_cgroup(skb: Skb) -> bool {
    skb.room() != TRAFFIC
}

/// Takes a room of this CPU for a packet at the cgroup. False where all are taken.
#[inline(always)]
pub fn take(skb: Skb) -> bool {
    match take_room() {
        Some(room) => {
            skb.set_room(room);
            true
        }
        None => false,
    }
}

/// Takes a room of this CPU for a program at the cgroup, which stays on it (`migrate_disable`). None where all are taken.
#[inline(always)]
pub fn take_room() -> Option<u32> {
    let mut room = TRAFFIC + 1;
    while room < ROOMS {
        if let Some(scratch) = SCRATCH.get_ptr_mut(room) {
            // SAFETY: an entry of the map; a member of it is pointed to.
            let takers = unsafe { &raw mut (*scratch).takers };
            // Who finds itself alone has it: whoever comes later finds two. No addition returns what was there before Linux 5.12.
            // SAFETY: an aligned word of the map.
            let number = unsafe {
                atomic_add(takers, 1);
                takers.read_volatile()
            };
            if number == 1 {
                // Any of them, as far as the verifier knows: it follows what comes after once.
                // SAFETY: a word of the map.
                return Some(unsafe {
                    let place = &raw mut (*scratch).room;
                    place.write_volatile(u64::from(room));
                    place.read_volatile() as u32
                });
            }
            // SAFETY: as above.
            unsafe { atomic_add(takers, u64::MAX) };
        }
        room += 1;
    }
    None
}

/// Gives back the room that [`take`] has taken.
#[inline(always)]
pub fn leave(skb: Skb) {
    leave_room(skb.room());
}

/// Gives back the room that [`take_room`] has taken.
#[inline(always)]
pub fn leave_room(room: u32) {
    if let Some(scratch) = get_room(room) {
        // SAFETY: an aligned word of the map.
        unsafe { atomic_add(&raw mut scratch.takers, u64::MAX) };
    }
}

/// Begins with a packet. False where it has no room: never.
#[inline(always)]
pub fn begin(skb: Skb, in_force: InForce) -> bool {
    let Some(scratch) = get(skb) else {
        return false;
    };
    scratch.in_force = in_force;
    scratch.steady.digest = 0;
    scratch.steady.candidate = 0;
    scratch.recheck.reset();
    true
}

/// Begins with a group that is about to be joined. False where there is no such room: never.
#[inline(always)]
pub fn begin_in_room(room: u32, in_force: InForce) -> bool {
    let Some(scratch) = get_room(room) else {
        return false;
    };
    scratch.in_force = in_force;
    true
}

/// Whether the room holds what is true of packets with this digest.
#[inline(always)]
pub fn holds(digest: u64) -> bool {
    SCRATCH.get_ptr(TRAFFIC).is_some_and(|scratch| {
        // SAFETY: an entry of the map, this CPU's own.
        let known = unsafe { (&raw const (*scratch).steady.digest).read_volatile() };
        known == digest
    })
}

/// What the packet in work has so far, and the policy that it is judged by.
///
/// Each step of a run asks for it anew, and holds it no longer than until it calls the next.
#[inline(always)]
pub fn in_work(skb: Skb) -> Option<(&'static mut Scratch, &'static Active)> {
    in_work_in_room(skb.room())
}

/// The same, of a room by its number.
#[inline(always)]
pub fn in_work_in_room(room: u32) -> Option<(&'static mut Scratch, &'static Active)> {
    let scratch = get_room(room)?;
    let active = policy::active(scratch.in_force)?;
    Some((scratch, active))
}

/// What the packet in work has so far, for a step that asks for nothing of the policy.
#[inline(always)]
pub fn get(skb: Skb) -> Option<&'static mut Scratch> {
    get_room(skb.room())
}

/// The same, of a room by its number.
#[inline(always)]
pub fn get_room(room: u32) -> Option<&'static mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(room)?;
    // SAFETY: the entry is this CPU's own and this run's, whose steps hold it one after the other.
    Some(unsafe { &mut *scratch })
}
