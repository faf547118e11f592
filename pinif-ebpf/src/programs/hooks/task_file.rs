//! What an iterator over the files of all tasks shows (kernel/bpf/task_iter.c), and what its programs write.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{file, seq_file},
    helpers::generated::{bpf_seq_write, bpf_sock_from_file},
};
use pinif_ebpf::{bypass::Bypass, key::NetNsCookie};

use crate::kernel::{
    namespace,
    struct_sock::{self, bypass},
    task,
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

/// The task, the descriptor and the file.
#[inline(always)]
pub fn file_of(context: *const TaskFile) -> Option<(*const c_void, u32, *mut file)> {
    // SAFETY: the context is valid, and the verifier checks every access that follows.
    let (task, descriptor, file) = unsafe {
        (
            (&raw const (*context).task).read_volatile(),
            (&raw const (*context).descriptor).read_volatile(),
            (&raw const (*context).file).read_volatile(),
        )
    };
    (!task.is_null() && !file.is_null()).then_some((task, descriptor, file))
}

/// The task, the descriptor, the socket and its family, of a file that is a socket.
#[inline(always)]
pub fn socket_of(context: *const TaskFile) -> Option<(*const c_void, u32, *const SockCommon, u32)> {
    let (task, descriptor, file) = file_of(context)?;
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

/// Writes a socket and who has it to the iterator's output.
#[inline(always)]
pub fn write(context: *const TaskFile, task: u64, descriptor: u32, sock: u64, family: u32) {
    let mut record = Bypass {
        netns: NetNsCookie(namespace::of(sock)),
        inode: struct_sock::inode_of(sock),
        family,
        descriptor,
        interface: bypass::interface(sock, family),
        ..Bypass::default()
    };
    task::write(&mut record.owner, task, sock);
    let Some(output) = output_of(context) else {
        return;
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
