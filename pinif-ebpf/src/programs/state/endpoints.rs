//! The local endpoints that sockets send from: by these the copy of a packet, which has no socket, is recognized.

use aya_ebpf::{
    Global,
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, LruHashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    capacity,
    intent::{Flow, SocketRecord, flag},
    key::{Address, Endpoint, IfIndex, NetNsCookie, SocketCookie},
    loss::Loss,
    packet::{Packet, protocol},
};

use super::{
    findings::atomic_add,
    losses, lower_devices, owners, records,
    scratch::{self, Scratch},
};
use crate::{
    kernel::{packet::Skb, sock::Sock, task},
    reread,
    verified_once::verified_once,
    words::{are_same, copy},
};

/// Of sockets whose release the hooks will see.
#[btf_map]
static ENDPOINTS: HashMap<
    Endpoint,
    Flow,
    { capacity::endpoints(capacity::SOCKETS) as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

/// Of sockets that were closed (a TCP connection goes on sending for a while) or that no hook sees the release of.
#[btf_map]
static LINGERING: LruHashMap<Endpoint, Flow, { capacity::lingering(capacity::SOCKETS) as usize }> =
    LruHashMap::new();

/// How many endpoints of [`ENDPOINTS`] the sockets of each user hold.
#[btf_map]
static ENDPOINT_SHARES: HashMap<u32, u64, 16384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// How many endpoints of [`ENDPOINTS`] one user may hold. Userspace sets it with the size of that table.
#[unsafe(no_mangle)]
static ENDPOINTS_OF_A_USER: Global<u64> =
    Global::new(capacity::endpoints_of_a_user(capacity::SOCKETS));

/// Enters the endpoint that the packet's socket sends from; of a request, that of its listener, once. Costs a comparison when that is known.
#[inline(always)]
pub fn enter(skb: Skb, record: &SocketRecord, endpoint: &Endpoint, bound: IfIndex) {
    let is_known = record.has(flag::ENDPOINT)
        && are_same(&record.endpoint, endpoint)
        && record.endpoint_bound == bound
        && record.is_entered(skb.cookie());
    if !is_known && let Some(scratch) = scratch::get(skb) {
        scratch.endpoint = *endpoint;
        scratch.flow.bound = bound;
        pinif_enter_endpoint(skb.context());
    }
}

verified_once! {
    /// The rare rest of [`enter`].
    fn pinif_enter_endpoint(skb) {
        if let Some(Scratch { endpoint, flow, skb: place, .. }) = scratch::get(skb)
            && let Some(sock) = Sock::new(skb.sock())
        {
            let full = sock.full();
            let is_request = full.is_none();
            let Some(holder) = full.or_else(|| sock.listener()) else {
                return 0;
            };
            let Some(record) = records::of(holder.as_ptr().cast()) else {
                return 0;
            };
            copy(&mut flow.owner, &record.owner);
            flow.sockets = 1;
            if is_request {
                // Through a map: the verifier allows no arithmetic on the pointer itself.
                *place = holder.as_ptr() as u64;
                flow.cookie = SocketCookie(task::cookie_of(reread(place)));
                enter_listener(record, endpoint, flow);
            } else {
                flow.cookie = skb.cookie();
                renew(record, endpoint, flow);
            }
        }
        0
    }
}

/// Enters a listener's endpoint, which the connections that it accepts are in. The first alone, of one that listens at several addresses: the
/// others are entered with the connections.
#[inline(always)]
fn enter_listener(record: &mut SocketRecord, endpoint: &Endpoint, flow: &mut Flow) {
    if record.has(flag::ENDPOINT) || !record.has(flag::HOOKED) || flow.cookie.0 == 0 {
        return;
    }
    put(endpoint, flow);
    // Of who has served from here, something is known also where no connection ever is the last of its entry.
    put_lingering(endpoint, flow);
    record.endpoint = *endpoint;
    record.endpoint_bound = flow.bound;
    record.entered_as = flow.cookie;
    record.flags |= flag::ENDPOINT;
}

#[inline(always)]
fn renew(record: &mut SocketRecord, endpoint: &Endpoint, flow: &mut Flow) {
    let is_entered = record.is_entered(flow.cookie);
    let mut joined = None;
    if record.has(flag::HOOKED) {
        let stays = are_same(&record.endpoint, endpoint) && record.entered_as == flow.cookie;
        if is_entered && !stays {
            leave(&record.endpoint, record.entered_as, false);
        }
        joined = join(endpoint, flow);
        if joined.is_none() {
            put(endpoint, flow);
        }
    } else {
        put_lingering(endpoint, flow);
    }
    record.endpoint = *endpoint;
    record.endpoint_bound = flow.bound;
    record.sends_bound_to(flow.bound);
    if is_entered {
        // Cached verdicts of the other endpoint's packets would leave the table at this one.
        record.changed();
    }
    record.entered_as = joined.unwrap_or(flow.cookie);
    record.flags &= !flag::JOINED;
    if joined.is_some() {
        record.flags |= flag::JOINED;
    }
    record.flags |= flag::ENDPOINT;
}

/// Counts a TCP socket in the entry that another has for this endpoint, where a copy would be taken for the same: the connections of a listener
/// differ in nothing that is entered. Returns whose entry it is.
#[inline(always)]
fn join(endpoint: &Endpoint, flow: &Flow) -> Option<SocketCookie> {
    if endpoint.protocol != protocol::TCP {
        return None;
    }
    let known = ENDPOINTS.get_ptr_mut(endpoint)?;
    // SAFETY: the entry stays valid for the program's run; of it, only the number of sockets is ever written to.
    let (known, sockets) = unsafe { (&*known, &raw mut (*known).sockets) };
    if known.cookie == flow.cookie
        || known.bound != flow.bound
        || !are_same(&known.owner, &flow.owner)
    {
        return None;
    }
    // SAFETY: an aligned word of the map.
    unsafe { atomic_add(sockets, 1) };
    Some(known.cookie)
}

/// Whether [`enter_local_end`] has nothing new to enter.
#[inline(always)]
pub fn knows_local_end(record: &SocketRecord, port: u16, bound: IfIndex) -> bool {
    let known = record.local_end.port == port && record.local_end_bound == bound;
    port == 0 || (record.has(flag::LOCAL_END) && known)
}

/// Enters the port that a socket will send from, with the address that `bind()` was called with; without one, at any address:
/// a duplicate that netfilter makes comes before the original. The end that it had before is removed.
#[inline(always)]
pub fn enter_local_end(
    record: &mut SocketRecord,
    netns: NetNsCookie,
    port: u16,
    protocol: u8,
    cookie: SocketCookie,
    bound: IfIndex,
) {
    if record.has(flag::LOCAL_END) {
        leave(&record.local_end, cookie, false);
    }
    record.local_end = of(netns, record.address_of_bind(), port, protocol);
    let mut flow = flow(record, cookie, bound);
    if record.has(flag::HOOKED) {
        put(&record.local_end, &mut flow);
    } else {
        put_lingering(&record.local_end, &flow);
    }
    record.sends_bound_to(bound);
    record.local_end_bound = bound;
    record.flags |= flag::LOCAL_END;
}

/// Enters an endpoint of a socket whose release the hooks will see, in the share of its user. Where that is full, it is among
/// those that may be replaced.
#[inline(never)]
fn put(endpoint: &Endpoint, flow: &mut Flow) -> u32 {
    // SAFETY: of an entry, only the number of its sockets is written to, else it is replaced; a reused one would be another socket's, and is
    // known by its cookie.
    let known = unsafe { ENDPOINTS.get(endpoint) };
    let before = known.map(|known| known.charged);
    flow.charged = before.unwrap_or(flow.owner.uid);
    // Where `bind()` named the address, it is there since the call.
    if let Some(known) = known
        && known.cookie == flow.cookie
    {
        if known.bound == flow.bound && are_same(&known.owner, &flow.owner) {
            return 0;
        }
        flow.sockets = known.sockets;
    }
    let share = ENDPOINT_SHARES.get_ptr_mut(&flow.charged);
    let is_over = before.is_none() && held(share) >= ENDPOINTS_OF_A_USER.load() as i64;
    if is_over
        || ENDPOINTS
            .insert(endpoint, &*flow, u64::from(BPF_ANY))
            .is_err()
    {
        losses::add_inline(Loss::EndpointsFull);
        return put_lingering(endpoint, flow);
    }
    if before.is_none() {
        match share {
            // SAFETY: the entry stays valid for the program's run.
            Some(count) => unsafe { atomic_add(count, 1) },
            None => {
                let _ = ENDPOINT_SHARES.insert(&flow.charged, &1, u64::from(BPF_NOEXIST));
            }
        }
    }
    0
}

#[inline(always)]
fn put_lingering(endpoint: &Endpoint, flow: &Flow) -> u32 {
    if LINGERING
        .insert(endpoint, flow, u64::from(BPF_ANY))
        .is_err()
    {
        losses::add_inline(Loss::EndpointsFull);
    }
    0
}

/// How many a user holds: less than none where CPUs that entered and removed one endpoint at once have counted one away twice.
#[inline(always)]
fn held(share: Option<*mut u64>) -> i64 {
    // SAFETY: the value is a word, read at once.
    share.map_or(0, |count| unsafe { count.read_volatile() }) as i64
}

#[inline(always)]
fn discharge(uid: u32) {
    if let Some(count) = ENDPOINT_SHARES.get_ptr_mut(&uid) {
        // SAFETY: as above.
        unsafe { atomic_add(count, u64::MAX) };
    }
}

/// Releases the endpoints of a socket that is being closed.
#[inline(always)]
pub fn release(record: &SocketRecord, cookie: SocketCookie) {
    let is_entered = record.is_entered(cookie);
    if is_entered {
        leave(&record.endpoint, record.entered_as, true);
    }
    // Where `bind()` named the address, both are one entry.
    if record.has(flag::LOCAL_END) && !(is_entered && are_same(&record.local_end, &record.endpoint))
    {
        leave(&record.local_end, cookie, false);
    }
}

/// Takes a socket out of the entry that it is in as this one, unless another socket has that by now. With the last of its sockets, the entry
/// is removed; where it `lingers`, it goes to those of sockets that were closed.
#[inline(never)]
fn leave(endpoint: &Endpoint, entered_as: SocketCookie, lingers: bool) -> u32 {
    let Some(flow) = ENDPOINTS.get_ptr_mut(endpoint) else {
        return 0;
    };
    // SAFETY: the entry stays valid for the program's run; of it, only the number of sockets is ever written to.
    let (flow, sockets) = unsafe { (&*flow, &raw mut (*flow).sockets) };
    if flow.cookie != entered_as {
        return 0;
    }
    // No addition returns what was there before Linux 5.12: of two that leave at once, both may find themselves the last, and one removes it.
    // SAFETY: an aligned word of the map.
    let left = unsafe {
        atomic_add(sockets, u64::MAX);
        sockets.read_volatile()
    };
    if left == 0 {
        if lingers {
            put_lingering(endpoint, flow);
        }
        let uid = flow.charged;
        if ENDPOINTS.remove(endpoint).is_ok() {
            discharge(uid);
        }
    }
    0
}

/// The socket that a packet without socket is a copy of: whose endpoint it has.
///
/// What came in by an interface is a copy only where that is the one by which its original left: `tcf_mirred` writes the interface that it
/// mirrors. What came in elsewhere was forwarded, and its source translated to what happens to be a socket's end. What netfilter duplicates
/// came in nowhere.
#[inline(always)]
pub fn find(netns: NetNsCookie, packet: &Packet, arrived: IfIndex) -> Option<&'static Flow> {
    if packet.later_fragment {
        return None;
    }
    let mut endpoint = of(netns, packet.source, packet.source_port, packet.protocol);
    let address = endpoint.address;
    // SAFETY: entries are freed after an RCU grace period; a reused one would name another socket of this instant.
    let mut flow = unsafe { ENDPOINTS.get(&endpoint) };
    if flow.is_none() && packet.source_port != 0 && !arrived.is_some() {
        endpoint.address = Address::UNSPECIFIED;
        // SAFETY: as above.
        flow = unsafe { ENDPOINTS.get(&endpoint) };
        endpoint.address = address;
    }
    // One that is there comes before one that was closed, which may have had the same end.
    // SAFETY: as above.
    let flow = flow.or_else(|| unsafe { LINGERING.get(&endpoint) })?;
    let is_copy = !arrived.is_some() || left_by(netns, flow.bound, &packet.source, arrived) != 0;
    is_copy.then_some(flow)
}

/// Not zero: what the socket sends leaves by this interface, its bound device's, or its source address's. A function of its own, since the
/// verifier would follow it for each table.
#[inline(never)]
fn left_by(netns: NetNsCookie, bound: IfIndex, source: &Address, interface: IfIndex) -> u32 {
    let home = if bound.is_some() {
        bound
    } else {
        owners::of(netns, source).unwrap_or(IfIndex::NONE)
    };
    u32::from(home == interface || lower_devices::is_lower_of(netns, interface, home))
}

#[inline(always)]
fn flow(record: &SocketRecord, cookie: SocketCookie, bound: IfIndex) -> Flow {
    let mut flow = Flow {
        cookie,
        bound,
        sockets: 1,
        ..Flow::default()
    };
    copy(&mut flow.owner, &record.owner);
    flow
}

/// The endpoint of a namespace; the port is in host byte order.
#[inline(always)]
pub fn of(netns: NetNsCookie, address: Address, port: u16, protocol: u8) -> Endpoint {
    Endpoint {
        netns,
        address,
        port,
        protocol,
        _pad: [0; 5],
    }
}
