//! Who sent a packet, and what of it is known.

use pinif_ebpf::{
    intent::{NO_USER, SocketRecord, flag},
    key::{Address, Endpoint, IfIndex, NetNsCookie, SocketCookie},
    packet::Packet,
    sighting::{Origin, Sighting},
};

use crate::{
    kernel::{
        namespace,
        packet::Skb,
        sock::{AF_PACKET, FullSock, Sock},
        struct_sock, task,
    },
    multipath::Connection,
    reread,
    state::{endpoints, owners, records},
    tunnel::{self, Layer},
    words::{clear, copy},
};

/// Writes the sender into the sighting, and gives the device that its socket is bound to; for a packet without socket,
/// the one of the socket whose endpoint it has.
///
/// An outer packet of a tunnel is the kernel's, whoever sent the inner one, which was judged on the tunnel.
#[inline(always)]
pub fn write(
    sighting: &mut Sighting,
    netns: NetNsCookie,
    skb: Skb,
    packet: Option<&Packet>,
    connection: &Connection,
    layer: &mut Layer,
) -> IfIndex {
    tunnel::clear(layer, netns);
    match Sock::new(skb.sock()) {
        None => {
            sighting.cookie = SocketCookie(0);
            socketless(sighting, skb, packet, layer)
        }
        Some(sock) => {
            sighting.cookie = skb.cookie();
            match sock.full() {
                Some(full) => {
                    tunnel::look_at_sent(layer, skb, full, packet);
                    if reread(&layer.outer) != 0 {
                        return tunnels(sighting);
                    }
                    socket(sighting, layer, skb, full, packet, connection)
                }
                None => {
                    tunnel::look_at_remains(layer, skb, sock, packet);
                    if reread(&layer.outer) != 0 {
                        return tunnels(sighting);
                    }
                    timewait_or_request(sighting, layer, skb, sock, packet)
                }
            }
        }
    }
}

/// A tunnel's own packet.
#[inline(always)]
fn tunnels(sighting: &mut Sighting) -> IfIndex {
    reset(sighting);
    sighting.cookie = SocketCookie(0);
    sighting.origin = Origin::Kernel as u8;
    IfIndex::NONE
}

/// A packet without socket: a copy of one that has a local endpoint, or somebody else's.
#[inline(always)]
fn socketless(
    sighting: &mut Sighting,
    skb: Skb,
    packet: Option<&Packet>,
    layer: &mut Layer,
) -> IfIndex {
    let netns = reread(&layer.netns);
    reset(sighting);
    let Some(packet) = packet else {
        tunnel::look_at_lone(layer, skb, None);
        return IfIndex::NONE;
    };
    if owners::of(netns, &packet.source).is_none() {
        return IfIndex::NONE;
    }
    tunnel::look_at_lone(layer, skb, Some(packet));
    if reread(&layer.outer) != 0 {
        sighting.origin = Origin::Kernel as u8;
        return IfIndex::NONE;
    }
    if let Some(flow) = endpoints::find(netns, packet, skb.arrived()) {
        sighting.cookie = flow.cookie;
        copy(&mut sighting.owner, &flow.owner);
        return flow.bound;
    }
    IfIndex::NONE
}

/// A packet with its full socket, a process's or the kernel's.
#[inline(always)]
fn socket(
    sighting: &mut Sighting,
    layer: &Layer,
    skb: Skb,
    sock: FullSock,
    packet: Option<&Packet>,
    connection: &Connection,
) -> IfIndex {
    let family = sock.family();
    let kind = sock.kind();
    let bound = reread(&connection.bound);
    let Some(record) = record_of(sighting, skb, sock, kind, family) else {
        reset(sighting);
        sighting.cookie = SocketCookie(0);
        sighting.origin = Origin::Kernel as u8;
        sighting.family = family as u16;
        sighting.socket_type = kind as u16;
        return bound;
    };
    if record.netns != reread(&layer.netns) {
        // Older kernels let a packet keep its socket through a veth: its device means nothing here.
        reset(sighting);
        sighting.cookie = SocketCookie(0);
        return IfIndex::NONE;
    }
    if let Some(packet) = packet
        && family != AF_PACKET
        && !packet.later_fragment
    {
        let (port, protocol) = (packet.source_port, packet.protocol);
        let endpoint = Endpoint::of(reread(&layer.netns), packet.source, port, protocol);
        endpoints::enter(skb, record, &endpoint, bound);
    }
    from_record(sighting, record);
    // The live socket knows its user best.
    sighting.owner.uid = reread(&connection.uid);
    sighting.family = family as u16;
    sighting.socket_type = kind as u16;
    bound
}

/// The record of a process's socket, made if it has none: the socket was there before pinif and could not be marked, or
/// is in a cgroup that is not audited. The kernel's own sockets get none.
#[inline(always)]
fn record_of(
    sighting: &mut Sighting,
    skb: Skb,
    sock: FullSock,
    kind: u32,
    family: u32,
) -> Option<&'static mut SocketRecord> {
    let known = records::of(sock.as_ptr().cast());
    if known.as_ref().is_some_and(|known| known.netns.0 != 0) {
        return known;
    }
    // Through a map: the verifier allows no arithmetic on the pointer itself.
    sighting.socket_inode = sock.as_ptr() as u64;
    let record = match known {
        Some(known) => known,
        None => make_record(sighting, skb, sock, kind, family)?,
    };
    record.netns = NetNsCookie(namespace::of(reread(&sighting.socket_inode)));
    Some(record)
}

/// The record of a socket that has none, whose structure `socket_inode` points to; none of the kernel's own.
#[inline(always)]
fn make_record(
    sighting: &mut Sighting,
    skb: Skb,
    sock: FullSock,
    kind: u32,
    family: u32,
) -> Option<&'static mut SocketRecord> {
    if struct_sock::is_kernels(reread(&sighting.socket_inode), kind) {
        return None;
    }
    let record = records::of_or_insert(sock.as_ptr().cast())?;
    record.flags = flag::OWNED;
    if family == AF_PACKET {
        // No hook sees these made; but they send in their process's system call, always (`packet_snd`).
        task::write_current(&mut record.owner);
        record.owner.cgroup = skb.cgroup();
    }
    Some(record)
}

/// A request socket, or what is left of a connection in TIME_WAIT.
#[inline(always)]
fn timewait_or_request(
    sighting: &mut Sighting,
    layer: &Layer,
    skb: Skb,
    sock: Sock,
    packet: Option<&Packet>,
) -> IfIndex {
    // Through a map, as above.
    sighting.socket_inode = sock.address();
    let netns = namespace::of(reread(&sighting.socket_inode));
    if netns != 0 && netns != reread(&layer.netns).0 {
        reset(sighting);
        sighting.cookie = SocketCookie(0);
        return IfIndex::NONE;
    }
    let record = match sock.listener() {
        Some(listener) => {
            let record = records::of(listener.as_ptr().cast()).map(|record| &*record);
            if let (Some(record), Some(packet)) = (record, packet)
                && !record.has(flag::ENDPOINT)
            {
                let (port, protocol) = (packet.source_port, packet.protocol);
                let endpoint = Endpoint::of(reread(&layer.netns), packet.source, port, protocol);
                endpoints::enter(skb, record, &endpoint, sock.bound_device());
            }
            record
        }
        None => records::of_closed(sighting.cookie).map(|record| &*record),
    };
    match record {
        Some(record) => from_record(sighting, record),
        None => {
            reset(sighting);
            sighting.origin = Origin::Process as u8;
        }
    }
    sighting.family = sock.family() as u16;
    sighting.socket_type = 0;
    match record {
        Some(record) if record.has(flag::SUBFLOW) => record.sent_bound,
        _ => sock.bound_device(),
    }
}

/// Writes what a socket's record has.
#[inline(always)]
pub fn from_record(sighting: &mut Sighting, record: &SocketRecord) {
    sighting.origin = Origin::Process as u8;
    sighting.flags = record.flags;
    copy(&mut sighting.requested_device, &record.requested_device);
    sighting.bound_address = record.bound_address;
    sighting.previous_bound = record.previous_bound;
    copy(&mut sighting.owner, &record.owner);
}

/// Clears what only a socket's record has.
#[inline(always)]
pub fn reset(sighting: &mut Sighting) {
    sighting.origin = Origin::None as u8;
    sighting.family = 0;
    sighting.socket_type = 0;
    sighting.flags = 0;
    clear(&mut sighting.requested_device);
    sighting.bound_address = Address::UNSPECIFIED;
    sighting.previous_bound = IfIndex::NONE;
    clear(&mut sighting.owner);
    sighting.owner.uid = NO_USER;
}
