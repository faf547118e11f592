//! The process that runs a hook, or that an iterator shows.

use aya_ebpf::{
    Global,
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
        generated::{bpf_get_current_cgroup_id, bpf_get_current_task},
    },
};
use pinif_ebpf::intent::{Owner, SocketRecord};

use super::{
    cgroup, offset,
    read::{follow, read, read_into, read_known},
};
use crate::state::maker::{self, TaskKey};

/// The PID namespace that processes' numbers are of, by its inode; zero for the initial one. Userspace sets that of its `/proc`:
/// what it looks up there by a number, and what it shows, is of this process then, and not of one that has the number elsewhere.
#[unsafe(no_mangle)]
static PID_NAMESPACE: Global<u32> = Global::new(0);
/// How many PID namespaces there are on top of each other, at most, beside the initial one (`MAX_PID_NS_LEVEL`).
const MOST_LEVELS: u32 = 32;

/// Writes the process that runs this program, in its system call. By the task itself: traffic programs have no other
/// helper for it before 6.10. A thread of the kernel's is no process, and is not written.
#[inline(always)]
pub fn write_current(owner: &mut Owner) {
    let task = current();
    let memory = follow(task, offset!(task_mm));
    if is_process(memory) {
        write_task(owner, task, memory);
    }
}

/// Writes the process that runs this cgroup hook, with the cgroup and the user that it has now. A thread of the kernel's
/// is not written: it binds and connects what others have asked for, as Multipath TCP's subflows.
#[inline(always)]
pub fn write_caller(owner: &mut Owner) {
    write_caller_of(owner, current());
}

/// The same, of its task. Whether it is a process.
#[inline(always)]
fn write_caller_of(owner: &mut Owner, task: u64) -> bool {
    let memory = follow(task, offset!(task_mm));
    let is_process = is_process(memory);
    if is_process {
        write_task(owner, task, memory);
        write_credentials(owner);
    }
    is_process
}

/// Writes what a process may have changed without beginning another program.
#[inline(always)]
fn renew_owner(owner: &mut Owner, task: u64) {
    write_credentials(owner);
    read_known(&mut owner.comm, task, offset!(task_comm));
}

/// Writes the cgroup and the user that the process which runs this cgroup hook has now.
#[inline(always)]
fn write_credentials(owner: &mut Owner) {
    // SAFETY: the helper has no arguments.
    owner.cgroup = unsafe { bpf_get_current_cgroup_id() };
    owner.uid = bpf_get_current_uid_gid() as u32;
}

/// Whether a task with this memory of its own (`task->mm`) is a process's, as far as that is known.
#[inline(always)]
fn is_process(memory: Option<u64>) -> bool {
    memory.is_some() || offset!(task_mm) == 0
}

/// The task that runs this program. By the task itself: before Linux 5.15, hooks on socket options have no helper for its number.
#[inline(always)]
fn current() -> u64 {
    // SAFETY: the helper has no arguments.
    unsafe { bpf_get_current_task() }
}

/// Makes the process that runs this cgroup hook the owner of a socket that it has made.
#[inline(always)]
pub fn write_maker(record: &mut SocketRecord) {
    let task = current();
    let execs = execs(task);
    let key = TaskKey {
        task,
        begun: started(task),
        execs: execs.into(),
    };
    let is_known = execs != 0 && key.begun != 0;
    if is_known && maker::copy_known(&mut record.owner, key) {
        renew_owner(&mut record.owner, task);
    } else if write_caller_of(&mut record.owner, task) && is_known {
        maker::keep(&record.owner, key);
    }
    record.execs = execs;
}

/// Makes the process that runs this cgroup hook the owner of the socket, if it is not.
#[inline(always)]
pub fn take_over(record: &mut SocketRecord) {
    let task = current();
    if !is_current(&record.owner, task) {
        write_owner(record, task, execs(task));
        record.changed();
    }
}

/// The same in a hook that knows the number of its process without the task: at each send of a socket that is not connected, nothing of the
/// task is read. Hooks on socket options have no helper for it before Linux 5.15.
#[inline(always)]
pub fn take_over_by_number(record: &mut SocketRecord) {
    if !has_number(&record.owner) {
        take_over(record);
    }
}

/// Whether the process that runs this hook has the owner's number, where every process has one.
#[inline(always)]
fn has_number(owner: &Owner) -> bool {
    PID_NAMESPACE.load() == 0 && (bpf_get_current_pid_tgid() >> 32) as u32 == owner.pid
}

/// Makes the process that runs this cgroup hook the owner of the socket, as it is now. What it cannot have changed but by beginning another
/// program is not read again, where it has not done so since it was written.
#[inline(always)]
pub fn renew(record: &mut SocketRecord) {
    let task = current();
    let execs = execs(task);
    let is_known = execs != 0 && execs == record.execs;
    if is_known && (has_number(&record.owner) || is_current(&record.owner, task)) {
        renew_owner(&mut record.owner, task);
    } else {
        write_owner(record, task, execs);
    }
}

#[inline(always)]
fn write_owner(record: &mut SocketRecord, task: u64, execs: u16) {
    write_caller_of(&mut record.owner, task);
    record.execs = execs;
}

/// How often the process of a task has begun another program, and those before it: the lower bits.
#[inline(always)]
fn execs(task: u64) -> u16 {
    let mut execs = 0u32;
    read_known(&mut execs, task, offset!(task_execs));
    execs as u16
}

/// Whether this process runs the hook. Where not every process has a number, it is known by its start.
#[inline(always)]
fn is_current(owner: &Owner, task: u64) -> bool {
    if PID_NAMESPACE.load() == 0 {
        return read::<u32>(task, offset!(task_tgid)) == Some(owner.pid);
    }
    owner.started != 0 && owner.started == started(leader_of(task))
}

/// The number of the task that runs this hook: a thread's, which may be another than its process's.
#[inline(always)]
pub fn current_task() -> u32 {
    match PID_NAMESPACE.load() {
        0 => bpf_get_current_pid_tgid() as u32,
        namespace => number_in(current(), namespace),
    }
}

/// The main thread of a task's process.
#[inline(always)]
fn leader_of(task: u64) -> u64 {
    follow(task, offset!(task_leader)).unwrap_or(task)
}

/// When a main thread was started.
#[inline(always)]
fn started(leader: u64) -> u64 {
    let mut started = 0;
    read_known(&mut started, leader, offset!(task_started));
    started
}

/// A task's number in a PID namespace, as `pid_nr_ns` finds it, which knows the namespace's level; zero where it has none there.
#[inline(never)]
fn number_in(task: u64, namespace: u32) -> u32 {
    let Some(numbers) = follow(task, offset!(task_numbers)) else {
        return 0;
    };
    let innermost = read::<u32>(numbers, offset!(numbers_level)).unwrap_or_default();
    let size = u64::from(offset!(number_namespace)) + size_of::<u64>() as u64;
    let mut place = numbers + u64::from(offset!(numbers_first));
    for level in 0..=MOST_LEVELS {
        if level > innermost {
            break;
        }
        let of = follow(place, offset!(number_namespace));
        if of.and_then(|of| read::<u32>(of, offset!(namespace_inode))) == Some(namespace) {
            let mut number = 0u32;
            read_into(&mut number, place, 0);
            return number;
        }
        place += size;
    }
    0
}

#[inline(always)]
fn write_task(owner: &mut Owner, task: u64, memory: Option<u64>) {
    write_executable(owner, memory);
    let leader = leader_of(task);
    read_known(&mut owner.started, leader, offset!(task_started));
    match PID_NAMESPACE.load() {
        0 => read_known(&mut owner.pid, task, offset!(task_tgid)),
        namespace => owner.pid = number_in(leader, namespace),
    }
    read_known(&mut owner.comm, task, offset!(task_comm));
}

/// Writes a process that an iterator shows, as the owner of a socket (both addresses in the kernel).
#[inline(always)]
pub fn write(owner: &mut Owner, task: u64, sock: u64) {
    write_task(owner, task, follow(task, offset!(task_mm)));
    owner.cgroup = cgroup::of(sock).map_or(0, cgroup::id);
    read_known(&mut owner.uid, sock, offset!(sock_uid));
}

/// Writes the executable of a task with this memory (`task->mm->exe_file`); zeros for a kernel thread.
#[inline(always)]
fn write_executable(owner: &mut Owner, memory: Option<u64>) {
    let inode = memory
        .and_then(|memory| follow(memory, offset!(mm_exe_file)))
        .and_then(|file| follow(file, offset!(file_inode)));
    let Some(inode) = inode else {
        (owner.executable_inode, owner.executable_device) = (0, 0);
        owner.executable_generation = 0;
        return;
    };
    read_known(&mut owner.executable_inode, inode, offset!(inode_number));
    read_known(
        &mut owner.executable_generation,
        inode,
        offset!(inode_generation),
    );
    match follow(inode, offset!(inode_superblock)) {
        Some(superblock) => {
            read_known(
                &mut owner.executable_device,
                superblock,
                offset!(superblock_device),
            );
        }
        None => owner.executable_device = 0,
    }
}
