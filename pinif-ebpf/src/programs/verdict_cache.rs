//! The fast path: a packet like one that was found contained is counted by its cached verdict. See [`pinif_ebpf::verdict_cache`].

use aya_ebpf::{
    btf_maps::{Array, PerCpuArray},
    helpers::generated::bpf_get_prandom_u32,
    macros::btf_map,
};
use pinif_ebpf::{
    intent::{SocketRecord, flag},
    key::NetNsCookie,
    packet::Packet,
    policy::{Active, InForce, flags},
    verdict_cache::{
        CELL_BITS, CacheInputs, CachedVerdict, Digests, FlowKey, digest_of_source, entry, look_up,
    },
};

use crate::{
    kernel::{
        self,
        packet::Skb,
        sock::{AF_PACKET, SOCK_RAW, Sock},
    },
    state::{cells, endpoints, owners, policy, records},
};

/// The digests under which the decision of the packet in work may be kept; zeros where it may not.
#[repr(C)]
#[derive(Clone, Copy)]
struct Keys {
    /// In the socket's record.
    own: Digests,
    /// Among those of packets of one class, whoever sent them.
    class: Digests,
}

/// No keys.
const NONE: Keys = Keys {
    own: NO_DIGESTS,
    class: NO_DIGESTS,
};

const NO_DIGESTS: Digests = Digests {
    any_destination: 0,
    whole: 0,
};

/// The keys of the packet in work, for when it has been judged. In a map and not on the stack: the verifier would tell
/// apart the ways that lead here, and follow each through all that comes.
#[btf_map]
static KEYS: PerCpuArray<Keys, 1> = PerCpuArray::new();

/// The entries of packets of one class, which are the same in all that a decision looks at: what this host passes on for others, and what
/// sockets send that have no entry yet. By the bits of their digests that entries leave out.
#[btf_map]
static FLOW_CACHE: Array<u64, { 1 << CELL_BITS }> = Array::new();

/// Keeps the digests of what processes send apart from those of what is passed on.
const OF_PROCESSES: u64 = 0x70_726f_6365_7373;

/// Looks for the entry of the packet's decision, and counts it; false if there is none, and it is to be
/// judged. Inlined: where returns are mitigated (`spec_rstack_overflow`), a call costs more than what it does.
#[inline(always)]
pub fn holds(skb: Skb, in_force: InForce) -> bool {
    match look(skb, in_force) {
        Ok((said, netns)) => {
            cells::count_in(said.cell, skb.count());
            if said.marked {
                skb.mark_passed(netns);
            }
            true
        }
        Err(keys) => {
            if let Some(keys) = keys {
                set(keys);
            }
            false
        }
    }
}

#[inline(always)]
fn set(keys: Keys) {
    if let Some(place) = KEYS.get_ptr_mut(0) {
        // SAFETY: the entry is this CPU's own.
        unsafe { place.write_volatile(keys) };
    }
}

/// What the entry says, with the socket's namespace; or where the decision may be kept, if that is not set yet.
#[inline(always)]
fn look(skb: Skb, in_force: InForce) -> Result<(CachedVerdict, NetNsCookie), Option<Keys>> {
    const NONE: Option<Keys> = Some(self::NONE);
    let Some(sock) = Sock::new(skb.sock()) else {
        return look_at_passed_on(skb, in_force).map_err(Some);
    };
    // Only full sockets have one (`bpf_sk_storage_get`).
    let record = records::of(sock.as_ptr().cast()).ok_or(NONE)?;
    // What a socket sends did not come in anywhere.
    if skb.arrived().is_some() {
        return Err(NONE);
    }
    let flow = skb.flow_key().ok_or(NONE)?;
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
    let here = CacheInputs {
        epoch: in_force.0,
        salt: record.salt,
        above: skb.passed_above(netns),
        bound: sock.bound_device(),
        egress,
        user,
        bound_address: [0; 2],
    };
    let source = digest_of_source(&flow, &here);
    let any_destination = source.any_destination();
    if let Some(said) = look_up(*record.entry_by(egress), any_destination) {
        return Ok((said, netns));
    }
    let whole = source.whole(&flow);
    if let Some(said) = look_up(*record.entry_of(whole), whole) {
        return Ok((said, netns));
    }
    let own = Digests {
        any_destination,
        whole,
    };
    match look_up(look_at_others(skb, sock, record, &own, in_force), u64::MAX) {
        Some(said) => Ok((said, netns)),
        None => Err(None),
    }
}

/// What was decided for another socket's packet that is like this one in all that a decision looks at: as an entry whose
/// digest is all ones; else zero, and it is set where the decision may be kept.
///
/// In a frame of its own: the stack of a program is 512 bytes.
#[inline(never)]
fn look_at_others(
    skb: Skb,
    sock: Sock,
    record: &mut SocketRecord,
    own: &Digests,
    in_force: InForce,
) -> u64 {
    match find_of_others(skb, sock, record, in_force) {
        Ok((said, whatever_destination)) => {
            if whatever_destination {
                *record.entry_by(skb.interface()) = entry(own.any_destination, said);
            } else {
                *record.entry_of(own.whole) = entry(own.whole, said);
            }
            entry(u64::MAX, said)
        }
        Err(class) => {
            set(Keys { own: *own, class });
            0
        }
    }
}

/// What was decided, and whether for any destination; or the digests under which it may be kept for others. The socket is
/// noted as one that sends from here, as it is by a full look.
///
/// Not where a rule asks who has the socket. Nor for a header that is not the socket's own, but a tunnel's.
#[inline(always)]
fn find_of_others(
    skb: Skb,
    sock: Sock,
    record: &mut SocketRecord,
    in_force: InForce,
) -> Result<(CachedVerdict, bool), Digests> {
    let full = sock.full().ok_or(NO_DIGESTS)?;
    let flow = skb.flow_key().ok_or(NO_DIGESTS)?;
    let (protocol, port) = (full.protocol() as u8, full.local_port());
    if in_force.looks_at_owners()
        || full.family() == AF_PACKET
        || full.kind() == SOCK_RAW
        || !flow.is_from(protocol, port)
    {
        return Err(NO_DIGESTS);
    }
    let seen = if in_force.looks_at_source_ports() {
        flow
    } else {
        flow.from_any_port()
    };
    let netns = record.netns;
    let here = CacheInputs {
        epoch: in_force.0,
        salt: kernel::packet::secret_of(netns) ^ OF_PROCESSES,
        above: skb.passed_above(netns),
        bound: sock.bound_device(),
        egress: skb.interface(),
        user: 0,
        bound_address: if record.has(flag::BOUND_ADDRESS) {
            record.bound_address.words()
        } else {
            [0; 2]
        },
    };
    let found = look_in_flow_cache(&seen, &here)?;
    let endpoint = endpoints::of(netns, flow.source_address(), port, protocol);
    endpoints::note(record, &endpoint, skb.cookie(), here.bound);
    Ok(found)
}

/// The same for a packet without socket.
#[inline(always)]
fn look_at_passed_on(skb: Skb, in_force: InForce) -> Result<(CachedVerdict, NetNsCookie), Keys> {
    let flow = skb.flow_key().ok_or(NONE)?;
    let netns = kernel::netns();
    let here = CacheInputs {
        epoch: in_force.0,
        salt: kernel::packet::secret_of(netns),
        above: skb.passed_above(netns),
        bound: skb.arrived(),
        egress: skb.interface(),
        user: 0,
        bound_address: [0; 2],
    };
    look_in_flow_cache(&flow, &here)
        .map(|(said, _)| (said, netns))
        .map_err(|class| Keys { class, ..NONE })
}

/// What was decided for a packet like this one, and whether for any destination; or the digests under which its decision
/// may be kept.
#[inline(always)]
fn look_in_flow_cache(
    seen: &FlowKey,
    here: &CacheInputs,
) -> Result<(CachedVerdict, bool), Digests> {
    let source = digest_of_source(seen, here);
    let any_destination = source.any_destination();
    if let Some(said) = look_up(entry_at(any_destination), any_destination) {
        return Ok((said, true));
    }
    let whole = source.whole(seen);
    match look_up(entry_at(whole), whole) {
        Some(said) => Ok((said, false)),
        None => Err(Digests {
            any_destination,
            whole,
        }),
    }
}

/// The entry at a digest's place.
#[inline(always)]
fn entry_at(digest: u64) -> u64 {
    FLOW_CACHE.get_ptr(place_of(digest)).map_or(0, |place| {
        // SAFETY: an aligned word of the map; other CPUs write it at once.
        unsafe { place.read_volatile() }
    })
}

/// Keeps what is said of packets of one class.
#[inline(always)]
fn keep_for_class(digest: u64, said: CachedVerdict) {
    if let Some(place) = FLOW_CACHE.get_ptr_mut(place_of(digest)) {
        // SAFETY: an aligned word of the map, written at once.
        unsafe { place.write_volatile(entry(digest, said)) };
    }
}

#[inline(always)]
fn place_of(digest: u64) -> u32 {
    digest as u32 & ((1 << CELL_BITS) - 1)
}

/// The keys of the packet in work.
#[inline(always)]
fn keys() -> Option<Keys> {
    let keys = KEYS.get_ptr(0)?;
    // SAFETY: the entry is this CPU's own.
    Some(unsafe { keys.read_volatile() })
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
    let Some(Keys { class, .. }) = keys() else {
        return 0;
    };
    if class.whole == 0
        || !skb.flow_key().is_some_and(|flow| flow.is(packet))
        || owners::of(netns, &packet.source).is_some()
    {
        return 0;
    }
    let about = policy::about(netns, active.slot, skb.interface());
    let said = CachedVerdict {
        cell,
        marked: about & flags::STACKED != 0,
    };
    // Nobody asks what no process sends for a bound device.
    let digest = if active.rules == 0 || about & flags::KEEPS_PINNED != 0 {
        class.any_destination
    } else {
        class.whole
    };
    keep_for_class(digest, said);
    0
}

/// Keeps the decision that a process's packet is contained, for those like it.
#[inline(never)]
pub fn keep(skb: Skb, netns: NetNsCookie, packet: &Packet, active: &Active, cell: u32) -> u32 {
    let Some(Keys { own, class }) = keys() else {
        return 0;
    };
    let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) else {
        return 0;
    };
    // A packet socket says where each of its packets leaves.
    if own.whole == 0
        || sock.family() == AF_PACKET
        || !skb.flow_key().is_some_and(|flow| flow.is(packet))
    {
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
    let said = CachedVerdict {
        cell,
        marked: about & flags::STACKED != 0,
    };
    let keeps = if sock.bound_device().is_some() {
        flags::KEEPS_PINNED
    } else {
        flags::KEEPS_UNPINNED
    };
    let whatever_destination = active.rules == 0 || about & keeps != 0;
    if whatever_destination {
        *record.entry_by(egress) = entry(own.any_destination, said);
    } else {
        *record.entry_of(own.whole) = entry(own.whole, said);
    }
    if class.whole != 0 {
        let digest = if whatever_destination {
            class.any_destination
        } else {
            class.whole
        };
        keep_for_class(digest, said);
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
