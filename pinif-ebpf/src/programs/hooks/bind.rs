//! `bind()` succeeded: the bound address.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_socket_cookie, macros::cgroup_sock,
    programs::SockContext,
};
use pinif_ebpf::{
    intent::flag,
    key::{Address, SocketCookie},
};

use super::ALLOW;
use crate::{
    kernel::{sock::FullSock, task},
    state::{endpoints, records},
};

/// In `__inet_bind`, after the port was taken.
#[cgroup_sock(post_bind4)]
pub fn pinif_post_bind4(context: SockContext) -> i32 {
    if let Some(sock) = FullSock::new(context.sock) {
        bound(&context, sock.local_v4());
    }
    ALLOW
}

/// In `__inet6_bind`, after the port was taken.
#[cgroup_sock(post_bind6)]
pub fn pinif_post_bind6(context: SockContext) -> i32 {
    if let Some(sock) = FullSock::new(context.sock) {
        bound(&context, sock.local_v6());
    }
    ALLOW
}

#[inline(always)]
fn bound(context: &SockContext, address: Address) {
    if let Some(record) = records::of_or_insert(context.as_ptr()) {
        task::renew(record);
        // It has a cookie from here on: what arrives for it is reported with that, and cannot ask for one.
        // SAFETY: the helper takes the context.
        let cookie = SocketCookie(unsafe { bpf_get_socket_cookie(context.as_ptr()) });
        // One that the kernel has chosen a port for, and that has lost it: a connection that failed.
        endpoints::leave_local_end(record, cookie);
        record.bound_address = address;
        record.becomes_hooked();
        if address.is_unspecified() {
            record.flags &= !flag::BOUND_ADDRESS;
        } else {
            record.flags |= flag::BOUND_ADDRESS;
        }
        record.changed();
    }
}
