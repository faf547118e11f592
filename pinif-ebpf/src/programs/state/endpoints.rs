//! The local endpoints that sockets send from: by these the copy of a packet, which has no socket, is recognized.

mod table;

use pinif_ebpf::{
    intent::{Flow, SocketRecord, flag},
    key::{Address, Endpoint, IfIndex, NetNsCookie, SocketCookie},
    packet::{Packet, protocol},
};

use self::table::{Entry, leave, put, put_lingering, put_lingering_at_address};
use super::{
    findings::atomic_add,
    lower_devices, owners, records,
    scratch::{self, Scratch},
};
use crate::{
    kernel::{packet::Skb, sock::Sock, struct_sock},
    reread,
    verified_once::verified_once,
    words::{are_same, copy},
};

/// Enters the endpoint that the packet's socket sends from; of a request, that of its listener, once. Costs a comparison when that is known.
#[inline(always)]
pub fn enter(skb: Skb, record: &SocketRecord, endpoint: &Endpoint, bound: IfIndex) {
    let is_known = record.has_sent_from(endpoint, bound) && record.is_entered(skb.cookie());
    if !is_known && let Some(scratch) = scratch::get(skb) {
        scratch.endpoint = *endpoint;
        scratch.flow.bound = bound;
        pinif_enter_endpoint(skb.context());
    }
}

verified_once! {
    /// The rare rest of [`enter`].
    fn pinif_enter_endpoint(skb) {
        if let Some(Scratch { endpoint, former, flow, skb: place, .. }) = scratch::get(skb)
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
                flow.cookie = SocketCookie(struct_sock::cookie_of(reread(place)));
                enter_listener(record, endpoint, flow);
            } else {
                flow.cookie = skb.cookie();
                renew(record, endpoint, flow, former);
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
    record.sends_from(endpoint, flow.bound, flow.cookie);
}

#[inline(always)]
fn renew(record: &mut SocketRecord, endpoint: &Endpoint, flow: &mut Flow, former: &mut Endpoint) {
    let is_entered = record.is_entered(flow.cookie);
    let mut joined = None;
    let mut is_at_local_end = false;
    if record.has(flag::HOOKED) {
        is_at_local_end = sends_by_local_end(record, endpoint, flow);
        *former = record.endpoint();
        let is_there = are_same(former, endpoint) && record.entered_as == flow.cookie;
        if is_entered && (is_at_local_end || !is_there) {
            leave(former, record.entered_as, None);
        }
        if !is_at_local_end {
            joined = join(endpoint, flow);
            if joined.is_none() {
                put(endpoint, flow);
            }
        }
    } else {
        put_lingering(endpoint, flow);
    }
    record.sends_from(endpoint, flow.bound, joined.unwrap_or(flow.cookie));
    if is_entered {
        // Cached verdicts of the other endpoint's packets would leave the table at this one.
        record.changed();
    }
    record.flags &= !(flag::JOINED | flag::AT_LOCAL_END);
    if joined.is_some() {
        record.flags |= flag::JOINED;
    }
    if is_at_local_end {
        record.flags |= flag::AT_LOCAL_END;
    }
}

/// Whether the socket has the entry of its local end, which is of any address, with all that is to be entered. It gets the address that the
/// socket sends from: one entry is made for it, and removed, in place of two.
#[inline(always)]
fn sends_by_local_end(record: &SocketRecord, endpoint: &Endpoint, flow: &Flow) -> bool {
    if !record.sends_by_local_end(endpoint) {
        return false;
    }
    let at_any_address = Endpoint {
        address: Address::UNSPECIFIED,
        ..*endpoint
    };
    let Some(Entry {
        known, sent_from, ..
    }) = table::entry(&at_any_address)
    else {
        return false;
    };
    if known.cookie != flow.cookie
        || known.bound != flow.bound
        || !are_same(&known.owner, &flow.owner)
    {
        return false;
    }
    // SAFETY: a place in the map, of whole words.
    copy(unsafe { &mut *sent_from }, &endpoint.address);
    true
}

/// Counts a TCP socket in the entry that another has for this endpoint, where a copy would be taken for the same: the connections of a listener
/// differ in nothing that is entered. Returns whose entry it is.
#[inline(always)]
fn join(endpoint: &Endpoint, flow: &Flow) -> Option<SocketCookie> {
    if endpoint.protocol != protocol::TCP {
        return None;
    }
    let Entry { known, sockets, .. } = table::entry(endpoint)?;
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
    let flags = record.flags & (flag::LOCAL_END | flag::LOCAL_END_STALE);
    let is_known = flags == flag::LOCAL_END && record.local_port == port;
    port == 0 || is_known && record.sent_bound == bound
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
    leave_local_end(record, cookie);
    record.netns = netns;
    record.local_port = port;
    record.local_protocol = protocol;
    let local_end = record.local_end();
    let mut flow = flow(record, cookie, bound);
    if record.has(flag::HOOKED) {
        if !table::enter_new(&local_end, &mut flow) {
            take(&local_end, &mut flow);
        }
    } else {
        put_lingering_at_address(&local_end, &flow);
    }
    record.sends_bound_to(bound);
    record.flags &= !flag::LOCAL_END_STALE;
    record.flags |= flag::LOCAL_END;
}

/// Removes the local end that a socket has, if it has one: it is about to get another, or another address.
#[inline(always)]
pub fn leave_local_end(record: &mut SocketRecord, cookie: SocketCookie) {
    if !record.has(flag::LOCAL_END) {
        return;
    }
    let local_end = record.local_end();
    if record.has(flag::AT_LOCAL_END) {
        part(&local_end);
    }
    leave(&local_end, cookie, None);
    record.flags &= !(flag::LOCAL_END | flag::AT_LOCAL_END);
}

/// Takes an entry over that another socket may have, or enters it.
#[inline(never)]
fn take(local_end: &Endpoint, flow: &mut Flow) -> u32 {
    if table::get(local_end).is_some_and(|known| known.cookie != flow.cookie) {
        part(local_end);
    }
    put(local_end, flow)
}

/// Gives the endpoint that a socket sends from by the entry of its local end an entry of its own: the other is about to be another's, or to go.
#[inline(never)]
fn part(local_end: &Endpoint) -> u32 {
    let Some(known) = table::get(local_end) else {
        return 0;
    };
    let endpoint = Endpoint {
        address: known.sent_from,
        ..*local_end
    };
    if !endpoint.address.is_unspecified() && table::get(&endpoint).is_none() {
        let mut flow = Flow {
            sent_from: Address::UNSPECIFIED,
            ..*known
        };
        put(&endpoint, &mut flow);
    }
    0
}

/// Releases the endpoints of a socket that is being closed.
#[inline(always)]
pub fn release(record: &SocketRecord, cookie: SocketCookie) {
    let has_local_end = record.has(flag::LOCAL_END);
    if record.is_entered(cookie) {
        let endpoint = record.endpoint();
        if record.has(flag::AT_LOCAL_END)
            && leave(&record.local_end(), cookie, Some(&endpoint)) != 0
        {
            return;
        }
        leave(&endpoint, record.entered_as, Some(&endpoint));
        // Where `bind()` named the address, both are one entry.
        if has_local_end && are_same(&record.local_end(), &endpoint) {
            return;
        }
    }
    if has_local_end {
        leave(&record.local_end(), cookie, None);
    }
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
    let mut endpoint = Endpoint::of(netns, packet.source, packet.source_port, packet.protocol);
    let address = endpoint.address;
    let mut flow = table::get(&endpoint);
    if flow.is_none() && packet.source_port != 0 {
        endpoint.address = Address::UNSPECIFIED;
        flow = table::get(&endpoint).filter(|flow| is_of(flow, &address, arrived));
        endpoint.address = address;
    }
    // One that is there comes before one that was closed, which may have had the same end.
    let flow = flow.or_else(|| table::closed(&endpoint))?;
    let is_copy = !arrived.is_some() || left_by(netns, flow.bound, &packet.source, arrived) != 0;
    is_copy.then_some(flow)
}

/// Whether a packet may be a copy of what the socket of an entry for any address sends: it comes from nowhere, as netfilter's, which come
/// before their originals; or the socket has sent from its source. Without a branch for each, which the verifier would follow.
#[inline(always)]
fn is_of(flow: &Flow, source: &Address, arrived: IfIndex) -> bool {
    let ([a, b], [c, d]) = (flow.sent_from.words(), source.words());
    let differing = (a ^ c) | (b ^ d);
    let arrived = u64::from(arrived.0);
    ((differing | differing.wrapping_neg()) & (arrived | arrived.wrapping_neg())) >> 63 == 0
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
