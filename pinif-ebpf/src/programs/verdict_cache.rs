//! The fast path: a packet like one that was judged before is counted by its cached verdict. What is cached, and for whom, is
//! decided in [`pinif_ebpf::verdict_cache`]; here are the socket, its record and the maps.

use aya_ebpf::{btf_maps::PerCpuArray, helpers::generated::bpf_get_prandom_u32, macros::btf_map};
use pinif_ebpf::{
    intent::SocketRecord,
    key::{Endpoint, IfIndex, NetNsCookie},
    policy::{Active, InForce},
    verdict::Traffic,
    verdict_cache::{
        CacheInputs, CachedVerdict, Coverage, Digests, FlowKey, Keys, Outcome, PacketPath,
        SocketFacts, entry, look_up as read_entry,
    },
};

use crate::{
    kernel::{
        self,
        packet::Skb,
        sock::{AF_PACKET, SOCK_RAW, Sock},
    },
    state::{cells, endpoints, flow_cache::FlowCacheMap, heard, owners, policy, records, scratch},
};

/// The keys of the packet in work, for when it has been judged. In a map and not on the stack: the verifier would distinguish
/// apart the ways that lead here, and follow each through all that comes.
#[btf_map]
static KEYS: PerCpuArray<Keys, 1> = PerCpuArray::new();

/// Keeps the digests of what processes send apart from those of what is forwarded.
const OF_PROCESSES: u64 = 0x70_726f_6365_7373;

/// What is known of a packet before it is judged.
pub enum Cached {
    /// It is contained, and was counted.
    Contained,
    /// It is of the flow that leaks which the room of the packet in work is about ([`scratch::Steady`]).
    Steady,
    /// Nothing.
    Nothing,
}

/// Why there is no entry.
enum Missed {
    /// The packet is of the flow that leaks.
    Steady,
    /// Its verdict may not be cached.
    NotCached,
    /// Where its verdict may be cached is set.
    KeysSet,
}

/// Looks for the cached verdict of a packet, and counts it. Inlined: where returns are mitigated
/// (`spec_rstack_overflow`), a call costs more than what it does.
#[inline(always)]
pub fn look_up(skb: Skb, in_force: InForce) -> Cached {
    match look(skb, in_force) {
        Ok((found, netns)) => {
            count(skb, found, netns);
            Cached::Contained
        }
        Err(Missed::Steady) => Cached::Steady,
        Err(Missed::NotCached) => {
            forget();
            Cached::Nothing
        }
        Err(Missed::KeysSet) => Cached::Nothing,
    }
}

/// Counts a packet that leaves in this namespace by the verdict that its socket's record has for it. Whether it has one: else nothing is done.
///
/// What most often has none is recognized first, by little: another look-up follows.
#[inline(always)]
pub fn count_by_record(skb: Skb, netns: NetNsCookie) -> bool {
    find_by_record(skb, netns).is_some_and(|found| {
        count(skb, found, netns);
        true
    })
}

#[inline(always)]
fn find_by_record(skb: Skb, netns: NetNsCookie) -> Option<CachedVerdict> {
    let sock = Sock::new(skb.sock())?;
    let record = records::of(sock.as_ptr().cast())?;
    if !CacheInputs::may_find(record, netns, skb.arrived(), skb.interface()) {
        return None;
    }
    let in_force = policy::in_force()?;
    let inputs = inputs_of(skb, sock, record, skb.flow_key()?, in_force);
    inputs.find_in_record(record).ok()
}

/// Whether a cached verdict of the socket's own says that the packet is contained. Of one that begins with its IP header, at the
/// cgroup: it is not counted yet, and what is cached of it is for TC egress to say.
#[inline(always)]
pub fn is_contained(skb: Skb, sock: Sock, in_force: InForce) -> bool {
    let Some(record) = records::of(sock.as_ptr().cast()) else {
        return false;
    };
    if record.salt == 0 || !CacheInputs::may_look(record, record.netns, skb.arrived()) {
        return false;
    }
    skb.flow_key_before_link().is_some_and(|flow| {
        let inputs = inputs_of(skb, sock, record, flow, in_force);
        inputs.find_in_record(record).is_ok()
    })
}

/// Counts a packet by its verdict.
#[inline(always)]
fn count(skb: Skb, found: CachedVerdict, netns: NetNsCookie) {
    cells::count_in(found.cell, skb.count());
    if found.marked {
        skb.mark_passed(netns);
    }
}

/// The verdict of the packet in work is not to be cached.
#[inline(always)]
pub fn forget() {
    if let Some(keys) = KEYS.get_ptr_mut(0) {
        // SAFETY: the entry is this CPU's own.
        unsafe {
            (&raw mut (*keys).own.whole).write_volatile(0);
            (&raw mut (*keys).shared.whole).write_volatile(0);
        }
    }
}

/// The place of the keys of the packet in work.
#[inline(always)]
fn keys_mut() -> Option<&'static mut Keys> {
    let keys = KEYS.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and held by one at a time.
    Some(unsafe { &mut *keys })
}

/// The keys of the packet in work.
#[inline(always)]
fn keys() -> Option<&'static Keys> {
    let keys = KEYS.get_ptr(0)?;
    // SAFETY: the entry is this CPU's own, and written before the packet is judged.
    Some(unsafe { &*keys })
}

/// What the entry has, with the socket's namespace.
#[inline(always)]
fn look(skb: Skb, in_force: InForce) -> Result<(CachedVerdict, NetNsCookie), Missed> {
    let Some(sock) = Sock::new(skb.sock()) else {
        return look_at_forwarded(skb, in_force);
    };
    let netns = kernel::netns();
    // Only full sockets have one (`bpf_sk_storage_get`).
    let Some(record) = records::of(sock.as_ptr().cast()) else {
        let entry = look_at_remembered(skb, sock, netns, in_force);
        let found = read_entry(entry, u64::MAX).ok_or(Missed::KeysSet)?;
        return Ok((found, netns));
    };
    if !CacheInputs::may_look(record, netns, skb.arrived()) {
        return Err(Missed::NotCached);
    }
    let flow = skb.flow_key().ok_or(Missed::NotCached)?;
    if record.salt == 0 {
        record.salt = random();
    }
    let inputs = inputs_of(skb, sock, record, flow, in_force);
    let own = match inputs.find_in_record(record) {
        Ok(found) => return Ok((found, netns)),
        Err(own) => own,
    };
    if scratch::holds(own.whole) {
        // If it comes to be judged anew, the next packet like it does, too.
        forget();
        return Err(Missed::Steady);
    }
    match read_entry(look_at_others(skb, sock, record, &own, in_force), u64::MAX) {
        Some(found) => Ok((found, netns)),
        None => Err(Missed::KeysSet),
    }
}

#[inline(always)]
fn inputs_of(
    skb: Skb,
    sock: Sock,
    record: &SocketRecord,
    flow: FlowKey,
    in_force: InForce,
) -> CacheInputs {
    let way = way_of(skb, record.netns, sock.bound_device());
    CacheInputs::of_socket(record, flow, in_force, &way, || skb.uid())
}

#[inline(always)]
fn way_of(skb: Skb, netns: NetNsCookie, from: IfIndex) -> PacketPath {
    PacketPath {
        above: skb.passed_above(netns),
        from,
        egress: skb.interface(),
    }
}

/// What was decided for a packet like this one of a connection that is not accepted yet, or that is in TIME_WAIT: what is remembered of these
/// is with the listener, and among the closed sockets. As an entry, as [`look_at_others`] returns it; zero where there is none, and it is set
/// where the decision may be cached.
#[inline(never)]
fn look_at_remembered(skb: Skb, sock: Sock, netns: NetNsCookie, in_force: InForce) -> u64 {
    let (record, is_request) = if sock.is_request() {
        (record_of_listener(sock), true)
    } else if sock.is_in_time_wait() {
        (records::of_closed(skb.cookie()), false)
    } else {
        (None, false)
    };
    if let Some(record) = record
        && CacheInputs::may_look(record, netns, skb.arrived())
        && let Some(flow) = skb.flow_key()
    {
        if is_request && record.salt == 0 {
            record.salt = random();
        }
        let mut inputs = inputs_of(skb, sock, record, flow, in_force);
        if is_request {
            inputs = inputs.of_request();
        }
        match inputs.find_in_record(record) {
            // Without a salt, the record had changed when it was closed.
            Ok(found) if is_request || inputs.salt != 0 => return entry(u64::MAX, found),
            Err(own) if is_request && let Some(keys) = keys_mut() => {
                keys.inputs = CacheInputs {
                    bound_address: record.address_of_bind(),
                    ..inputs
                };
                keys.own = own;
                keys.shared = Digests::NONE;
                return 0;
            }
            _ => {}
        }
    }
    forget();
    0
}

/// The record of the listener that has this request.
#[inline(always)]
fn record_of_listener(sock: Sock) -> Option<&'static mut SocketRecord> {
    records::of(sock.listener()?.as_ptr().cast())
}

/// What was decided for another socket's packet that is like this one in all that a decision looks at: as an entry whose
/// digest is all ones; else zero, and it is set where the decision may be cached. The socket is entered as one that sends from
/// here, as it is by a full look.
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
    let (Some(keys), Some(flow)) = (keys_mut(), skb.flow_key()) else {
        forget();
        return 0;
    };
    let netns = record.netns;
    keys.own = *own;
    keys.inputs = CacheInputs {
        bound_address: record.address_of_bind(),
        ..inputs_of(skb, sock, record, flow, in_force)
    };
    let salt = kernel::packet::secret_of(netns) ^ OF_PROCESSES;
    let shared = sock.full().and_then(|full| {
        let facts = SocketFacts {
            writes_headers: full.family() == AF_PACKET || full.kind() == SOCK_RAW,
            protocol: full.protocol() as u8,
            port: full.local_port(),
            is_apart: full.connection_address() != 0
                || heard::is_audited() && record.heard_by.is_some(),
        };
        let shared = keys.inputs.of_any_socket(salt, &facts, in_force);
        shared.map(|shared| (shared, facts))
    });
    let Some((shared, facts)) = shared else {
        keys.shared = Digests::NONE;
        return 0;
    };
    match shared.find_in_cache(&FlowCacheMap) {
        Ok((found, reach)) => {
            let source = shared.flow.source_address();
            let endpoint = Endpoint::of(netns, source, facts.port, facts.protocol);
            endpoints::enter(skb, record, &endpoint, shared.bound);
            keys.put_in_record(record, found, reach);
            entry(u64::MAX, found)
        }
        Err(shared) => {
            keys.shared = shared;
            0
        }
    }
}

/// The same for a packet without socket.
#[inline(always)]
fn look_at_forwarded(skb: Skb, in_force: InForce) -> Result<(CachedVerdict, NetNsCookie), Missed> {
    let flow = skb.flow_key().ok_or(Missed::NotCached)?;
    let netns = kernel::netns();
    match inputs_of_forwarded(skb, netns, flow, in_force).find_in_cache(&FlowCacheMap) {
        Ok((found, _)) => Ok((found, netns)),
        Err(shared) => {
            set_of_forwarded(skb, netns, &shared, in_force);
            Err(Missed::KeysSet)
        }
    }
}

#[inline(always)]
fn inputs_of_forwarded(
    skb: Skb,
    netns: NetNsCookie,
    flow: FlowKey,
    in_force: InForce,
) -> CacheInputs {
    let salt = kernel::packet::secret_of(netns);
    CacheInputs::of_forwarded(salt, flow, in_force, &way_of(skb, netns, skb.arrived()))
}

/// Sets where the decision may be cached. In a frame of its own, as above.
#[inline(never)]
fn set_of_forwarded(skb: Skb, netns: NetNsCookie, shared: &Digests, in_force: InForce) -> u32 {
    match (keys_mut(), skb.flow_key()) {
        (Some(keys), Some(flow)) => {
            keys.inputs = inputs_of_forwarded(skb, netns, flow, in_force);
            keys.own = Digests::NONE;
            keys.shared = *shared;
        }
        _ => forget(),
    }
    0
}

/// Whether all that led to the decision on the packet in work was looked up by.
#[inline(always)]
pub fn coverage(traffic: &Traffic<'_>) -> Coverage {
    keys().map_or(Coverage::NONE, |keys| keys.inputs.covers(traffic))
}

/// Does with the verdict what becomes of it ([`Keys::outcome`]); the digest of a flow that leaks, else zero.
#[inline(never)]
pub fn keep(skb: Skb, coverage: Coverage, kind: u8, active: &Active, cell: u32) -> u64 {
    let Some(keys) = keys() else {
        return 0;
    };
    let netns = kernel::netns();
    let is_from_here = || owners::of(netns, &keys.inputs.flow.source_address()).is_some();
    let about = || policy::about(netns, active.slot, skb.interface());
    match keys.outcome(coverage, kind, is_from_here, active, about, cell) {
        Outcome::Forgotten => 0,
        Outcome::Steady(digest) => digest,
        Outcome::Cached(verdict, reach) => {
            if let Some(sock) = Sock::new(skb.sock())
                && let Some(record) =
                    records::of(sock.as_ptr().cast()).or_else(|| record_of_listener(sock))
            {
                keys.put_in_record(record, verdict, reach);
            }
            keys.put_in_cache(&FlowCacheMap, verdict, reach);
            0
        }
    }
}

/// Sixty-four bits that nobody can foresee, not zero.
#[inline(always)]
fn random() -> u64 {
    // SAFETY: the helper has no arguments.
    let (high, low) = unsafe { (bpf_get_prandom_u32(), bpf_get_prandom_u32()) };
    u64::from(high) << 32 | u64::from(low) | 1
}
