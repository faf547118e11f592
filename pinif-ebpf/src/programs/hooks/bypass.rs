//! Sockets that can send past TC egress: who they are, by an iterator, and that there is a new one, by the hook at
//! `setsockopt()`.

use pinif_ebpf::{
    bypass::{AF_PACKET, AF_XDP, NO_DESCRIPTOR},
    key::NetNsCookie,
};

use super::task_file::{TaskFile, file_of, socket_of, write};
use crate::{
    kernel::{
        namespace,
        sock::FullSock,
        struct_sock::{self, bypass},
        task,
    },
    reread,
    state::bypasses,
};

/// `SOL_PACKET`.
pub const SOL_PACKET: i32 = 263;
/// `PACKET_QDISC_BYPASS` (linux/if_packet.h).
pub const PACKET_QDISC_BYPASS: i32 = 20;
/// `SOL_XDP`.
pub const SOL_XDP: i32 = 283;
/// `XDP_TX_RING` (linux/if_xdp.h): without it, an AF_XDP socket only receives.
pub const XDP_TX_RING: i32 = 3;

/// The caller is about to make its socket send past TC egress.
#[inline(always)]
pub fn asked(sock: FullSock) {
    let family = sock.family();
    if family != AF_PACKET && family != AF_XDP {
        return;
    }
    bypasses::report(|record| {
        // Through a map: the verifier allows no arithmetic on the pointer itself.
        record.inode = sock.as_ptr() as u64;
        let sock = reread(&record.inode);
        task::write_caller(&mut record.owner);
        record.netns = NetNsCookie(namespace::of(sock));
        record.inode = struct_sock::inode_of(sock);
        record.family = family;
        record.interface = bypass::interface(sock, family);
        record.descriptor = NO_DESCRIPTOR;
    });
}

/// Writes a record of each socket that is, or may be, one that sends past TC egress.
///
/// # Safety
///
/// Called by the kernel, with the iterator's context.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub unsafe extern "C" fn pinif_bypassing(context: *const TaskFile) -> i32 {
    if let Some((task, descriptor, sock, family)) = socket_of(context)
        && may_bypass(sock as u64, family)
    {
        write(context, task as u64, descriptor, sock as u64, family);
    }
    0
}

/// The same where the kernel has no `bpf_sock_from_file`, which came with Linux 5.11.
///
/// # Safety
///
/// Called by the kernel, with the iterator's context.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub unsafe extern "C" fn pinif_bypassing_by_file(context: *const TaskFile) -> i32 {
    if let Some((task, descriptor, file)) = file_of(context)
        && let Some((sock, family)) = struct_sock::socket_of_file(file as u64)
        && may_bypass(sock, family)
    {
        write(context, task as u64, descriptor, sock, family);
    }
    0
}

#[inline(always)]
fn may_bypass(sock: u64, family: u32) -> bool {
    family == AF_PACKET || family == AF_XDP && bypass::has_ring_to_send(sock)
}
