//! The process that runs a hook, or that an iterator shows.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_probe_read_kernel,
    generated::{bpf_get_current_cgroup_id, bpf_get_current_task},
};
use pinif_ebpf::intent::Owner;

use super::{offset, sock::SOCK_RAW};

/// Writes the process that runs this program, in its system call. By the task itself: traffic programs have no other
/// helper for it before 6.10.
#[inline(always)]
pub fn write_current(owner: &mut Owner) {
    // SAFETY: the helper has no arguments.
    write_task(owner, unsafe { bpf_get_current_task() });
}

/// Writes the process that runs this cgroup hook, with the cgroup and the user that it has now.
#[inline(always)]
pub fn write_caller(owner: &mut Owner) {
    write_current(owner);
    // SAFETY: the helper has no arguments.
    owner.cgroup = unsafe { bpf_get_current_cgroup_id() };
    owner.uid = bpf_get_current_uid_gid() as u32;
}

/// The id of the process that runs this hook.
#[inline(always)]
pub fn current_pid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The number of the task that runs this hook: a thread's, which may be another than its process's.
#[inline(always)]
pub fn current_task() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[inline(always)]
fn write_task(owner: &mut Owner, task: u64) {
    (owner.executable_inode, owner.executable_device) = executable(task);
    owner.pid = read::<u32>(task, offset!(task_tgid)).unwrap_or_default();
    owner.comm = read(task, offset!(task_comm)).unwrap_or_default();
}

/// Writes a process that an iterator shows, as the owner of a socket (both addresses in the kernel).
#[inline(always)]
pub fn write(owner: &mut Owner, task: u64, sock: u64) {
    write_task(owner, task);
    owner.cgroup = follow(sock, offset!(sock_cgroup))
        .and_then(|cgroup| follow(cgroup, offset!(cgroup_kernfs)))
        .and_then(|kernfs| read::<u64>(kernfs, offset!(kernfs_id)))
        .unwrap_or_default();
    owner.uid = read::<u32>(sock, offset!(sock_uid)).unwrap_or_default();
}

/// The cookie of the namespace of a socket; zero if it has none yet.
#[inline(always)]
pub fn netns_of(sock: u64) -> u64 {
    follow(sock, offset!(sock_netns))
        .and_then(|net| read::<u64>(net, offset!(net_cookie)))
        .unwrap_or_default()
}

/// Whether a full socket is the kernel's own: it has a `struct socket`, and no process has a file of it
/// (`sock_create_kern`). A connection that waits for `accept()`, or that was closed, has neither.
#[inline(always)]
pub fn is_kernels(sock: u64, kind: u32) -> bool {
    match follow(sock, offset!(sock_socket)) {
        Some(socket) => follow(socket, offset!(socket_file)).is_none(),
        None => kind == SOCK_RAW,
    }
}

/// The inode number of a full socket, by which `/proc/PID/fd` names it; zero if no process holds it.
#[inline(always)]
pub fn inode_of(sock: u64) -> u64 {
    follow(sock, offset!(sock_socket))
        .and_then(|socket| read::<u64>(socket, offset!(socket_inode_number)))
        .unwrap_or_default()
}

/// The inode number and the device of a task's executable (`task->mm->exe_file`); zeros for a kernel thread.
#[inline(always)]
fn executable(task: u64) -> (u64, u32) {
    let inode = follow(task, offset!(task_mm))
        .and_then(|mm| follow(mm, offset!(mm_exe_file)))
        .and_then(|file| follow(file, offset!(file_inode)));
    let Some(inode) = inode else {
        return (0, 0);
    };
    let device = follow(inode, offset!(inode_superblock))
        .and_then(|superblock| read::<u32>(superblock, offset!(superblock_device)));
    (
        read::<u64>(inode, offset!(inode_number)).unwrap_or_default(),
        device.unwrap_or_default(),
    )
}

/// The pointer at an offset, if it is known and not null.
#[inline(always)]
fn follow(structure: u64, offset: u32) -> Option<u64> {
    read::<u64>(structure, offset).filter(|&pointer| pointer != 0)
}

/// The member at an offset, if the offset is known.
#[inline(always)]
fn read<T>(structure: u64, offset: u32) -> Option<T> {
    if offset == 0 {
        return None;
    }
    let address = structure + u64::from(offset);
    // SAFETY: the helper checks the address itself, and fails where there is nothing.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}
