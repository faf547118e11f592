//! Sockets that were there before pinif: an iterator over every process's files gives each its owner, of all
//! namespaces and protocols at once, where `sock_diag` knows some of them only.

use core::ffi::c_void;

use aya_ebpf::{bindings::file, helpers::generated::bpf_sock_from_file};
use pinif_ebpf::{intent::flag, key::NetNsCookie};

use crate::{
    kernel::{
        sock::{AF_INET, AF_INET6, AF_PACKET},
        task,
    },
    state::records,
};

/// `struct bpf_iter__task_file` (kernel/bpf/task_iter.c).
#[repr(C)]
pub struct TaskFile {
    pub meta: *const c_void,
    task: *const c_void,
    descriptor: u32,
    file: *mut file,
}

/// `struct socket`, as far as to its `sk` (include/linux/net.h); the verifier checks it against the kernel's BTF.
#[repr(C)]
struct Socket {
    _state: u32,
    _kind: u16,
    _flags: u64,
    _file: *const c_void,
    sock: *const SockCommon,
}

/// `struct sock_common`, as far as to its family (include/net/sock.h); checked as well.
#[repr(C)]
pub struct SockCommon {
    _addresses: u64,
    _hash: u32,
    _ports: u32,
    family: u16,
}

/// The task, the descriptor, the socket and its family, of a file that is a socket.
#[inline(always)]
pub fn socket_of(context: *const TaskFile) -> Option<(*const c_void, u32, *const SockCommon, u32)> {
    // SAFETY: the context is valid, and the verifier checks every access that follows.
    let (task, descriptor, file) = unsafe {
        (
            (&raw const (*context).task).read_volatile(),
            (&raw const (*context).descriptor).read_volatile(),
            (&raw const (*context).file).read_volatile(),
        )
    };
    if task.is_null() || file.is_null() {
        return None;
    }
    // SAFETY: the helper takes any file, and answers null for what is no socket.
    let socket: *const Socket = unsafe { bpf_sock_from_file(file) }.cast();
    if socket.is_null() {
        return None;
    }
    // SAFETY: as above.
    let sock = unsafe { (&raw const (*socket).sock).read_volatile() };
    if sock.is_null() {
        return None;
    }
    // SAFETY: as above.
    let family = u32::from(unsafe { (&raw const (*sock).family).read_volatile() });
    Some((task, descriptor, sock, family))
}

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
    if !matches!(family, AF_INET | AF_INET6 | AF_PACKET) {
        return 0;
    }
    if let Some(record) = records::of_or_insert(sock.cast_mut().cast())
        && record.owner.pid == 0
    {
        task::write(&mut record.owner, task as u64, sock as u64);
        record.netns = NetNsCookie(task::netns_of(sock as u64));
        record.flags |= flag::OWNED;
        record.changed();
    }
    0
}
