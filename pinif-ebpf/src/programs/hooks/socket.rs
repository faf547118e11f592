//! A socket is made, and closed: who owns it.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_socket_cookie, macros::cgroup_sock,
    programs::SockContext,
};
use pinif_ebpf::{intent::flag, key::SocketCookie};

use super::ALLOW;
use crate::{
    kernel::{
        namespace,
        sock::{FullSock, SOCK_STREAM},
        task,
    },
    state::{endpoints, namespaces, records},
};

/// At the end of `inet_create`. The kernel's own sockets do not come here.
#[cgroup_sock(sock_create)]
pub fn pinif_create(context: SockContext) -> i32 {
    // The context is the socket (`__cgroup_bpf_run_filter_sk`).
    let netns = namespace::of_hook(context.as_ptr(), context.as_ptr());
    namespaces::report(netns, task::current_task);
    if let Some(record) = records::of_or_insert(context.as_ptr()) {
        task::write_maker(record);
        record.netns = netns;
        record.flags = flag::OWNED | flag::HOOKED | flag::BORN;
        record.changed();
    }
    ALLOW
}

/// At the start of `inet_release`: what the socket sends from here on, it sends without its process.
#[cgroup_sock(sock_release)]
pub fn pinif_release(context: SockContext) -> i32 {
    if let Some(record) = records::of(context.as_ptr())
        && let Some(sock) = FullSock::new(context.sock)
    {
        // SAFETY: the helper takes the context.
        let cookie = SocketCookie(unsafe { bpf_get_socket_cookie(context.as_ptr()) });
        endpoints::release(record, cookie);
        if sock.kind() == SOCK_STREAM {
            records::close(cookie, record);
        }
    }
    ALLOW
}
