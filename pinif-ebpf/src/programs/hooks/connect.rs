//! `connect()`, and sends without a connection: which process uses the socket now, and from which port.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_socket_cookie, macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use pinif_ebpf::{intent::flag, key::SocketCookie};

use super::ALLOW;
use crate::{
    kernel::{namespace, sock::FullSock, task},
    state::{endpoints, records},
};

/// Before an IPv4 socket connects.
#[cgroup_sock_addr(connect4)]
pub fn pinif_connect4(context: SockAddrContext) -> i32 {
    used(&context);
    ALLOW
}

/// Before an IPv6 socket connects.
#[cgroup_sock_addr(connect6)]
pub fn pinif_connect6(context: SockAddrContext) -> i32 {
    used(&context);
    ALLOW
}

/// Before an unconnected UDP socket sends over IPv4.
#[cgroup_sock_addr(sendmsg4)]
pub fn pinif_sendmsg4(context: SockAddrContext) -> i32 {
    used(&context);
    ALLOW
}

/// Before an unconnected UDP socket sends over IPv6.
#[cgroup_sock_addr(sendmsg6)]
pub fn pinif_sendmsg6(context: SockAddrContext) -> i32 {
    used(&context);
    ALLOW
}

#[inline(always)]
fn used(context: &SockAddrContext) {
    // SAFETY: the context is valid, and the verifier checks the access.
    let sock = unsafe { (&raw const (*context.sock_addr).__bindgen_anon_1.sk).read_volatile() };
    let Some(sock) = FullSock::new(sock) else {
        return;
    };
    let Some(record) = records::of_or_insert(sock.as_ptr().cast()) else {
        return;
    };
    // A socket may be made by one process and used by another: socket activation, fork.
    task::take_over_by_number(record);
    record.becomes_hooked();
    if sock.connection_address() != 0 {
        // The kernel closes a subflow of Multipath TCP, and no hook sees it (`mptcp_close_ssk`).
        record.flags &= !flag::HOOKED;
    }
    let (port, bound) = (sock.local_port(), sock.bound_device());
    if endpoints::knows_local_end(record, port, bound) {
        return;
    }
    // SAFETY: the helper takes the context.
    let cookie = unsafe { bpf_get_socket_cookie(context.as_ptr()) };
    let netns = if record.netns.0 == 0 {
        namespace::of_hook(context.as_ptr(), sock.as_ptr().cast())
    } else {
        record.netns
    };
    endpoints::enter_local_end(
        record,
        netns,
        port,
        sock.protocol() as u8,
        SocketCookie(cookie),
        bound,
    );
}
