//! A packet is about to be given to a socket of a process: where a UDP server that is bound to nothing has it from.
//!
//! TC ingress sees no socket. This program does (`sk_filter_trim_cap`, in `udp_queue_rcv_one_skb`), with the interface that the packet was
//! taken in by. For all but such servers it ends at the socket. It also says that what arrived where it should not was given to its socket, and
//! not dropped behind TC ingress. It is loaded where replies are audited, and where a policy keeps something inside.

use aya_ebpf::{macros::cgroup_skb, programs::SkBuffContext};
use pinif_ebpf::{
    heard::HeardKey,
    intent::{SocketRecord, flag},
    key::IfIndex,
    packet::{base::Base, protocol},
};

use super::ALLOW;
use crate::{
    kernel::{
        packet::Skb,
        read,
        sock::{AF_INET, AF_INET6, FullSock, SOCK_DGRAM, Sock},
        struct_sock,
    },
    state::{awaited, findings, heard, records},
};

/// For every packet that a socket of the cgroup receives.
#[cgroup_skb(ingress)]
pub fn pinif_heard(context: SkBuffContext) -> i32 {
    hear(Skb::of(context.skb.skb));
    ALLOW
}

#[inline(always)]
fn hear(skb: Skb) {
    let interface = skb.interface();
    let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) else {
        return;
    };
    deliver(sock, interface);
    if !heard::is_audited() {
        return;
    }
    if sock.protocol() != u32::from(protocol::UDP)
        || sock.kind() != SOCK_DGRAM
        || sock.bound_device().is_some()
        || interface == IfIndex::LOOPBACK
        || !is_bound_to_no_address(sock)
    {
        return;
    }
    let Some(record) = records::of(sock.as_ptr().cast()) else {
        return;
    };
    // One whose port the kernel chose is a client, which answers nobody.
    if !record.heard_by.is_some()
        && !struct_sock::is_port_of_bind(read::number_of(sock.as_ptr().cast()))
    {
        return;
    }
    let mut base = Base::default();
    if !skb.read_network_base(&mut base) {
        return;
    }
    let key = HeardKey {
        cookie: skb.cookie(),
        address: base.source,
    };
    if heard::by(&key) != interface {
        heard::note(&key, interface);
        now_known(record, interface);
    }
}

/// Says of what arrived where it should not that its socket is given it: of a packet that came by the interface of the finding.
#[inline(always)]
fn deliver(sock: FullSock, interface: IfIndex) {
    if let Some(key) = awaited::by(interface, sock.protocol() as u8, sock.local_port()) {
        findings::deliver(key);
    }
}

/// A host is heard by another interface than before, or for the first time. Cached verdicts were for what was known: those of a socket all
/// of whose packets came by one interface, and leave by it, hold for any destination.
#[inline(always)]
fn now_known(record: &mut SocketRecord, interface: IfIndex) {
    let is_first = !record.heard_by.is_some();
    if is_first {
        record.heard_by = interface;
    } else if record.heard_by != interface {
        record.flags |= flag::HEARD_ELSEWHERE;
    }
    if is_first || record.has(flag::HEARD_ELSEWHERE) {
        record.changed();
    }
}

/// Whether the socket receives what is for any address (`inet_rcv_saddr`); a connected one has the address that it sends from.
#[inline(always)]
fn is_bound_to_no_address(sock: FullSock) -> bool {
    match sock.family() {
        AF_INET => sock.local_v4().is_unspecified(),
        AF_INET6 => sock.local_v6().is_unspecified(),
        _ => false,
    }
}
