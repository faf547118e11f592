//! Multipath TCP: a subflow has the intent of the connection that it belongs to (`mptcp_subflow_context.conn`).
//!
//! The process makes the first subflow, by `connect()` or `accept()`. The kernel's path manager makes the others, by an
//! endpoint of its own or to an address that the peer announced, and binds them to the endpoint's device or to nothing.

use pinif_ebpf::{
    intent::{SocketRecord, flag},
    key::IfIndex,
};

use crate::{
    kernel::{offset, packet::Skb, read, sock::Sock},
    reread,
    state::{records, scratch},
    verified_once::verified_once,
    words::copy,
};

/// The connection of the packet in work.
#[repr(C)]
pub struct Connection {
    /// The device that the packet is meant for: that of its socket's connection, or else of its socket, if that is a full one.
    pub bound: IfIndex,
    /// The user of its socket; of a subflow that the kernel made, of its connection's.
    pub uid: u32,
    _pad: u32,
    /// The device that the connection is bound to.
    theirs: IfIndex,
    /// Where its subflow is: the verifier allows no comparison of the pointer itself.
    subflow: u64,
    /// The subflow that the process made (`mptcp_sock.first`).
    first: u64,
}

verified_once! {
    /// Looks for the connection that the packet's socket is a subflow of. Not zero: [`pinif_adopt`] has something to do.
    pub fn pinif_connection(skb) {
        let Some(scratch) = scratch::get(skb) else {
            return 0;
        };
        let place = &mut scratch.connection;
        let Some(sock) = Sock::new(skb.sock()).and_then(Sock::full) else {
            return 0;
        };
        place.bound = sock.bound_device();
        place.uid = skb.uid();
        let address = sock.connection_address();
        if address == 0 {
            return 0;
        }
        place.subflow = sock.as_ptr() as u64;
        read::read_into(&mut place.theirs, address, offset!(sock_bound_device));
        read::read_into(&mut place.first, address, offset!(connection_first));
        let theirs = reread(&place.theirs);
        if theirs.is_some() {
            place.bound = theirs;
        }
        u32::from(reread(&place.first) != reread(&place.subflow))
    }

    /// A subflow that the kernel made gets the owner of its connection.
    pub fn pinif_adopt(skb) {
        let (Some(scratch), Some(sock)) = (scratch::get(skb), Sock::new(skb.sock()).and_then(Sock::full)) else {
            return 0;
        };
        let Some(record) = records::of(sock.as_ptr().cast()) else {
            return 0;
        };
        if record.has(flag::SUBFLOW) {
            keep(record, skb);
            scratch.connection.uid = record.owner.uid;
            return 0;
        }
        let bound = reread(&scratch.connection.bound);
        // What the hooks wrote there, no process asked for.
        record.flags = record.flags & !(flag::BOUND_ADDRESS | flag::REQUESTED)
            | flag::OWNED
            | flag::SUBFLOW
            | flag::ENDPOINT_STALE
            | flag::LOCAL_END_STALE
            | set(is_bound_elsewhere(sock.bound_device(), bound), flag::BOUND_ELSEWHERE)
            // The hooks see `connect()`, without which the peer opened the subflow, and the address of an endpoint.
            | set(
                record.flags & (flag::LOCAL_END | flag::BOUND_ADDRESS) == flag::LOCAL_END,
                flag::ANNOUNCED,
            );
        record.sent_bound = IfIndex::NONE;
        record.previous_bound = IfIndex::NONE;
        let connection = sock.connection();
        if !connection.is_null()
            && let Some(theirs) = records::of(connection)
        {
            copy(&mut record.owner, &theirs.owner);
            scratch.connection.uid = theirs.owner.uid;
        }
        record.changed();
        0
    }
}

#[inline(always)]
fn is_bound_elsewhere(own: IfIndex, bound: IfIndex) -> bool {
    own.is_some() & (own.0 != bound.0)
}

#[inline(always)]
const fn set(is_set: bool, flag: u32) -> u32 {
    if is_set { flag } else { 0 }
}

/// Keeps what is remembered of a subflow that the kernel made and that has sent, for when it is in TIME_WAIT: no hook sees it
/// closed.
#[inline(always)]
fn keep(record: &mut SocketRecord, skb: Skb) {
    if record.flags & (flag::KEPT | flag::ENDPOINT) == flag::ENDPOINT {
        record.flags |= flag::KEPT;
        records::close(skb.cookie(), record);
    }
}
