//! `bind()` succeeded: the bound address.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_socket_cookie, macros::cgroup_sock,
    programs::SockContext,
};
use pinif_ebpf::{intent::flag, key::Address};

use super::ALLOW;
use crate::{
    kernel::{sock::FullSock, task},
    state::records,
};

/// In `__inet_bind`, after the port was taken.
#[cgroup_sock(post_bind4)]
pub fn pinif_post_bind4(context: SockContext) -> i32 {
    if let Some(sock) = FullSock::new(context.sock) {
        bound(&context, sock.local_v4(), sock.local_port());
    }
    ALLOW
}

/// In `__inet6_bind`, after the port was taken.
#[cgroup_sock(post_bind6)]
pub fn pinif_post_bind6(context: SockContext) -> i32 {
    if let Some(sock) = FullSock::new(context.sock) {
        bound(&context, sock.local_v6(), sock.local_port());
    }
    ALLOW
}

#[inline(always)]
fn bound(context: &SockContext, address: Address, port: u16) {
    if let Some(record) = records::of_or_insert(context.as_ptr()) {
        task::renew(record);
        record.bound_address = address;
        record.bound_port = port;
        record.becomes_hooked();
        // It has a cookie from here on: what arrives for it is reported with that, and cannot ask for one.
        // SAFETY: the helper takes the context.
        unsafe { bpf_get_socket_cookie(context.as_ptr()) };
        if address.is_unspecified() {
            record.flags &= !flag::BOUND_ADDRESS;
        } else {
            record.flags |= flag::BOUND_ADDRESS;
        }
        record.changed();
    }
}
