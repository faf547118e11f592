//! The local endpoints that sockets send from: by these the copy of a packet, which has no socket, is recognized.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC},
    btf_maps::{HashMap, LruHashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    intent::{Flow, SocketRecord, flag},
    key::{Address, Endpoint, IfIndex, NetNsCookie, SocketCookie},
    loss::Loss,
    packet::Packet,
};

use super::losses;
use crate::words::copy;

/// Of sockets whose release the hooks will see.
#[btf_map]
static ENDPOINTS: HashMap<Endpoint, Flow, 262144, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Of sockets that were closed (a TCP connection goes on sending for a while) or that no hook sees the release of.
#[btf_map]
static LINGERING: LruHashMap<Endpoint, Flow, 32768> = LruHashMap::new();

/// Enters the endpoint that a socket sends from. Costs a comparison when that is known.
#[inline(always)]
pub fn enter(record: &mut SocketRecord, endpoint: &Endpoint, cookie: SocketCookie, bound: IfIndex) {
    if !(record.has(flag::ENDPOINT)
        && record.endpoint == *endpoint
        && record.endpoint_bound == bound)
    {
        renew(record, endpoint, cookie, bound);
    }
}

/// The rare rest of [`enter`], in a frame of its own: the stack of a program is 512 bytes.
#[inline(never)]
fn renew(record: &mut SocketRecord, endpoint: &Endpoint, cookie: SocketCookie, bound: IfIndex) {
    let flow = flow(record, cookie, bound);
    if record.has(flag::HOOKED) {
        if record.has(flag::ENDPOINT) && record.endpoint != *endpoint {
            remove(&record.endpoint, cookie);
        }
        if ENDPOINTS
            .insert(endpoint, &flow, u64::from(BPF_ANY))
            .is_err()
        {
            return losses::add(Loss::EndpointsFull);
        }
    } else if LINGERING
        .insert(endpoint, &flow, u64::from(BPF_ANY))
        .is_err()
    {
        return losses::add(Loss::EndpointsFull);
    }
    record.endpoint = *endpoint;
    record.endpoint_bound = bound;
    record.sends_bound_to(bound);
    if record.has(flag::ENDPOINT) {
        // Cached verdicts of the other endpoint's packets would leave the table at this one.
        record.changed();
    }
    record.flags |= flag::ENDPOINT;
}

/// Whether [`enter_any_address`] has nothing new to enter.
#[inline(always)]
pub fn knows_any_address(record: &SocketRecord, port: u16, bound: IfIndex) -> bool {
    let known = record.any_address_port == port && record.any_address_bound == bound;
    port == 0 || (record.has(flag::ANY_ADDRESS) && known)
}

/// Enters the port that a socket will send from, from which address is not known yet: a duplicate that netfilter makes
/// comes before the original.
#[inline(always)]
pub fn enter_any_address(
    record: &mut SocketRecord,
    netns: NetNsCookie,
    port: u16,
    protocol: u8,
    cookie: SocketCookie,
    bound: IfIndex,
) {
    let flow = flow(record, cookie, bound);
    let endpoint = of(netns, Address::UNSPECIFIED, port, protocol);
    if ENDPOINTS
        .insert(&endpoint, &flow, u64::from(BPF_ANY))
        .is_err()
    {
        return losses::add(Loss::EndpointsFull);
    }
    record.sends_bound_to(bound);
    record.any_address_port = port;
    record.any_address_bound = bound;
    record.flags |= flag::ANY_ADDRESS;
}

/// Releases the endpoints of a socket that is being closed.
#[inline(always)]
pub fn release(record: &SocketRecord, netns: NetNsCookie, protocol: u8, cookie: SocketCookie) {
    if record.has(flag::ENDPOINT) {
        // SAFETY: the entry is copied at once; a torn one would only mis-name a closed socket's copies.
        if let Some(&flow) = unsafe { ENDPOINTS.get(&record.endpoint) }
            && flow.cookie == cookie
        {
            let _ = LINGERING.insert(&record.endpoint, &flow, u64::from(BPF_ANY));
            let _ = ENDPOINTS.remove(&record.endpoint);
        }
    }
    if record.has(flag::ANY_ADDRESS) {
        let port = record.any_address_port;
        remove(&of(netns, Address::UNSPECIFIED, port, protocol), cookie);
    }
}

/// The socket whose endpoint a packet without socket has.
#[inline(always)]
pub fn find(netns: NetNsCookie, packet: &Packet) -> Option<&'static Flow> {
    if packet.later_fragment {
        return None;
    }
    let mut endpoint = of(netns, packet.source, packet.source_port, packet.protocol);
    // SAFETY: entries are freed after an RCU grace period; a reused one would name another socket of this instant.
    if let Some(flow) = unsafe { ENDPOINTS.get(&endpoint) } {
        return Some(flow);
    }
    // SAFETY: as above.
    if let Some(flow) = unsafe { LINGERING.get(&endpoint) } {
        return Some(flow);
    }
    if packet.source_port == 0 {
        return None;
    }
    endpoint.address = Address::UNSPECIFIED;
    // SAFETY: as above.
    unsafe { ENDPOINTS.get(&endpoint) }
}

#[inline(always)]
fn flow(record: &SocketRecord, cookie: SocketCookie, bound: IfIndex) -> Flow {
    let mut flow = Flow {
        cookie,
        bound,
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

/// Removes an endpoint, unless another socket has it by now.
#[inline(always)]
fn remove(endpoint: &Endpoint, cookie: SocketCookie) {
    // SAFETY: one word is read at once.
    if let Some(flow) = unsafe { ENDPOINTS.get(endpoint) }
        && flow.cookie == cookie
    {
        let _ = ENDPOINTS.remove(endpoint);
    }
}
