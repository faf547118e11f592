//! Sockets that were there before pinif: an iterator over every process's files gives each its owner, of all
//! namespaces and protocols at once, where `sock_diag` knows some of them only.

use pinif_ebpf::{intent::flag, key::NetNsCookie};

use super::task_file::{TaskFile, file_of, socket_of, write};
use crate::{
    kernel::{
        namespace,
        sock::{AF_INET, AF_INET6, AF_PACKET},
        struct_sock, task,
    },
    state::records,
};

/// Runs once, after the cgroup hooks are attached: what is made from then on, they see.
///
/// # Safety
///
/// Called by the kernel, with the iterator's context.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub unsafe extern "C" fn pinif_existing(context: *const TaskFile) -> i32 {
    let Some((task, _, sock, family)) = socket_of(context) else {
        return 0;
    };
    if !is_audited(family) {
        return 0;
    }
    if let Some(record) = records::of_or_insert(sock.cast_mut().cast())
        && !record.owner.is_known()
    {
        task::write(&mut record.owner, task as u64, sock as u64);
        record.netns = NetNsCookie(namespace::of(sock as u64));
        record.flags |= flag::OWNED;
        record.changed();
    }
    0
}

/// Writes a record of each socket to the iterator's output, where the kernel allows the above not: userspace gives the sockets their
/// owners then. Before Linux 5.11 there is neither the helper nor storage of sockets in such a program.
///
/// # Safety
///
/// Called by the kernel, with the iterator's context.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub unsafe extern "C" fn pinif_existing_by_file(context: *const TaskFile) -> i32 {
    if let Some((task, descriptor, file)) = file_of(context)
        && let Some((sock, family)) = struct_sock::socket_of_file(file as u64)
        && is_audited(family)
    {
        write(context, task as u64, descriptor, sock, family);
    }
    0
}

#[inline(always)]
fn is_audited(family: u32) -> bool {
    matches!(family, AF_INET | AF_INET6 | AF_PACKET)
}
