//! The short way: a packet like one that was found contained is counted without another look. See [`pinif_ebpf::memo`].

use aya_ebpf::{
    btf_maps::{Array, PerCpuArray},
    helpers::generated::bpf_get_prandom_u32,
    macros::btf_map,
};
use pinif_ebpf::{
    key::NetNsCookie,
    memo::{CELL_BITS, Circumstances, Digests, Recalled, digest_of_source, memo, recall},
    packet::Packet,
    policy::{Active, InForce, about},
};

use crate::{
    kernel::{
        self,
        packet::Skb,
        sock::{AF_PACKET, Sock},
    },
    state::{cells, owners, policy, records},
};

/// The digests of the packet in work, for when it has been judged. In a map and not on the stack: the verifier would tell
/// apart the ways that lead here, and follow each through all that comes.
#[btf_map]
static DIGESTS: PerCpuArray<Digests, 1> = PerCpuArray::new();

/// The memos of what this host passes on for others, by the bits of their digests that memos leave out.
#[btf_map]
static PASSED_ON: Array<u64, { 1 << CELL_BITS }> = Array::new();

/// Looks for the memo of the packet's decision, and counts it; false if there is none, and it is to be
/// judged. Inlined: where returns are mitigated (`spec_rstack_overflow`), a call costs more than what it does.
#[inline(always)]
pub fn stands(skb: Skb, in_force: InForce) -> bool {
    match look(skb, in_force) {
        Ok((said, netns)) => {
            cells::count_in(said.cell, skb.count());
            if said.marked {
                skb.mark_passed(netns);
            }
            true
        }
        Err(digests) => {
            if let Some(place) = DIGESTS.get_ptr_mut(0) {
                // SAFETY: the entry is this CPU's own.
                unsafe { place.write_volatile(digests) };
            }
            false
        }
    }
}

/// No digests.
const NONE: Digests = Digests {
    any_destination: 0,
    whole: 0,
};

/// What the memo says, with the socket's namespace; or the digests under which the decision may be kept, zeros where it
/// may not.
#[inline(always)]
fn look(skb: Skb, in_force: InForce) -> Result<(Recalled, NetNsCookie), Digests> {
    let Some(sock) = Sock::new(skb.sock()) else {
        return look_at_passed_on(skb, in_force);
    };
    // Only full sockets have one (`bpf_sk_storage_get`).
    let record = records::of(sock.as_ptr().cast()).ok_or(NONE)?;
    // What a socket sends did not come in anywhere.
    if skb.arrived().is_some() {
        return Err(NONE);
    }
    let glance = skb.glance().ok_or(NONE)?;
    let netns = record.netns;
    // A macvlan may be in another namespace than what it is on, where the index of either means another interface.
    if netns != kernel::netns() {
        return Err(NONE);
    }
    if record.salt == 0 {
        record.salt = random();
    }
    let user = if in_force.looks_at_users() {
        skb.uid()
    } else {
        0
    };
    let egress = skb.interface();
    let source = digest_of_source(
        &glance,
        &Circumstances {
            epoch: in_force.0,
            salt: record.salt,
            above: skb.passed_above(netns),
            bound: sock.bound_device(),
            egress,
            user,
        },
    );
    let any_destination = source.any_destination();
    if let Some(said) = recall(*record.memo_by(egress), any_destination) {
        return Ok((said, netns));
    }
    let whole = source.whole(&glance);
    match recall(*record.memo_of(whole), whole) {
        Some(said) => Ok((said, netns)),
        None => Err(Digests {
            any_destination,
            whole,
        }),
    }
}

/// The same for a packet without socket.
#[inline(always)]
fn look_at_passed_on(skb: Skb, in_force: InForce) -> Result<(Recalled, NetNsCookie), Digests> {
    let glance = skb.glance().ok_or(NONE)?;
    let netns = kernel::netns();
    let source = digest_of_source(
        &glance,
        &Circumstances {
            epoch: in_force.0,
            salt: kernel::packet::secret_of(netns),
            above: skb.passed_above(netns),
            bound: skb.arrived(),
            egress: skb.interface(),
            user: 0,
        },
    );
    let any_destination = source.any_destination();
    if let Some(said) = recall(recall_at(any_destination), any_destination) {
        return Ok((said, netns));
    }
    let whole = source.whole(&glance);
    match recall(recall_at(whole), whole) {
        Some(said) => Ok((said, netns)),
        None => Err(Digests {
            any_destination,
            whole,
        }),
    }
}

/// The memo at a digest's place.
#[inline(always)]
fn recall_at(digest: u64) -> u64 {
    PASSED_ON.get_ptr(place_of(digest)).map_or(0, |place| {
        // SAFETY: an aligned word of the map; other CPUs write it at once.
        unsafe { place.read_volatile() }
    })
}

#[inline(always)]
fn place_of(digest: u64) -> u32 {
    digest as u32 & ((1 << CELL_BITS) - 1)
}

/// The digests of the packet in work; nothing where its decision may not be kept.
#[inline(always)]
fn digests() -> Option<Digests> {
    let digests = DIGESTS.get_ptr(0)?;
    // SAFETY: the entry is this CPU's own.
    let digests = unsafe { digests.read_volatile() };
    (digests.whole != 0).then_some(digests)
}

/// Keeps the decision that a packet without socket is contained, for those like it. Not where its source is an address of
/// this host: it may be a copy of a socket's packet, and whose changes with every socket.
#[inline(never)]
pub fn keep_passed_on(
    skb: Skb,
    netns: NetNsCookie,
    packet: &Packet,
    active: &Active,
    cell: u32,
) -> u32 {
    let Some(digests) = digests() else {
        return 0;
    };
    if !skb.glance().is_some_and(|glance| glance.is(packet))
        || owners::of(netns, &packet.source).is_some()
    {
        return 0;
    }
    let about = policy::about(netns, active.slot, skb.interface());
    let said = Recalled {
        cell,
        marked: about & about::STACKED != 0,
    };
    // Nobody asks what no process sends for a bound device.
    let digest = if active.rules == 0 || about & about::KEEPS_PINNED != 0 {
        digests.any_destination
    } else {
        digests.whole
    };
    if let Some(place) = PASSED_ON.get_ptr_mut(place_of(digest)) {
        // SAFETY: an aligned word of the map, written at once.
        unsafe { place.write_volatile(memo(digest, said)) };
    }
    0
}

/// Keeps the decision that a process's packet is contained, for those like it.
#[inline(never)]
pub fn keep(skb: Skb, netns: NetNsCookie, packet: &Packet, active: &Active, cell: u32) -> u32 {
    let Some(digests) = digests() else {
        return 0;
    };
    let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) else {
        return 0;
    };
    // A packet socket says where each of its packets leaves.
    if sock.family() == AF_PACKET || !skb.glance().is_some_and(|glance| glance.is(packet)) {
        return 0;
    }
    let Some(record) = records::of(sock.as_ptr().cast()) else {
        return 0;
    };
    if record.netns.0 == 0 {
        // No hook saw it made. The digests are of the record as it was: the next packet is remembered.
        record.netns = netns;
        record.changed();
        return 0;
    }
    let egress = skb.interface();
    let about = policy::about(netns, active.slot, egress);
    let said = Recalled {
        cell,
        marked: about & about::STACKED != 0,
    };
    let keeps = if sock.bound_device().is_some() {
        about::KEEPS_PINNED
    } else {
        about::KEEPS_UNPINNED
    };
    if active.rules == 0 || about & keeps != 0 {
        *record.memo_by(egress) = memo(digests.any_destination, said);
    } else {
        *record.memo_of(digests.whole) = memo(digests.whole, said);
    }
    0
}

/// Sixty-four bits that nobody can foresee, not zero.
#[inline(always)]
fn random() -> u64 {
    // SAFETY: the helper has no arguments.
    let (high, low) = unsafe { (bpf_get_prandom_u32(), bpf_get_prandom_u32()) };
    u64::from(high) << 32 | u64::from(low) | 1
}
