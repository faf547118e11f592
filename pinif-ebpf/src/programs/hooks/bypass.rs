//! Sockets that can send past TC egress: who they are, by an iterator, and that there is a new one, by the hook at
//! `setsockopt()`.

use core::ffi::c_void;

use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use pinif_ebpf::{
    bypass::{AF_PACKET, AF_XDP, Bypass, NO_DESCRIPTOR},
    key::NetNsCookie,
};

use super::existing::{TaskFile, socket_of};
use crate::{
    kernel::{
        sock::FullSock,
        task::{self, bypass},
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
        record.netns = NetNsCookie(task::netns_of(sock));
        record.inode = task::inode_of(sock);
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
    let Some((task, descriptor, sock, family)) = socket_of(context) else {
        return 0;
    };
    if family != AF_PACKET && (family != AF_XDP || !bypass::has_ring_to_send(sock as u64)) {
        return 0;
    }
    let mut record = Bypass {
        netns: NetNsCookie(task::netns_of(sock as u64)),
        inode: task::inode_of(sock as u64),
        family,
        descriptor,
        interface: bypass::interface(sock as u64, family),
        ..Bypass::default()
    };
    task::write(&mut record.owner, task as u64, sock as u64);
    let Some(output) = output_of(context) else {
        return 0;
    };
    // SAFETY: the helper takes the iterator's output and memory of this size. Where it has no room, the kernel runs this
    // for the file once more, with room.
    unsafe {
        bpf_seq_write(
            output,
            (&raw mut record).cast::<c_void>(),
            size_of::<Bypass>() as u32,
        )
    };
    0
}

/// `struct bpf_iter_meta` (include/linux/bpf.h).
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

#[inline(always)]
fn output_of(context: *const TaskFile) -> Option<*mut seq_file> {
    // SAFETY: the context is valid, and the verifier checks every access.
    let meta: *const Meta = unsafe { (&raw const (*context).meta).read_volatile() }.cast();
    if meta.is_null() {
        return None;
    }
    // SAFETY: as above.
    let seq = unsafe { (&raw const (*meta).seq).read_volatile() };
    (!seq.is_null()).then_some(seq)
}
