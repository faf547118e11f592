//! The process that made a socket last on each CPU. Who makes many has what cannot have changed of it copied, and not read anew for each.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use pinif_ebpf::intent::Owner;

use super::findings::atomic_add;
use crate::{reread, words::copy};

/// What identifies a task for as long as the host is up, and the program that it runs.
#[derive(Clone, Copy)]
pub struct TaskKey {
    /// Its address in the kernel (`struct task_struct`).
    pub task: u64,
    /// When it was started: one that had this address before was started at another time.
    pub begun: u64,
    /// How often it has begun another program, and those before it: the lower bits of `task_struct.self_exec_id`.
    pub execs: u64,
}

/// A process, and what it was when it made a socket. It is whole where it has a task: hooks on system calls are interrupted by each other, but
/// stay on their CPU (`migrate_disable`).
#[repr(C)]
struct Maker {
    /// How many runs write, or try to.
    writers: u64,
    task: u64,
    begun: u64,
    execs: u64,
    owner: Owner,
}

#[btf_map]
static MAKERS: PerCpuArray<Maker, 1> = PerCpuArray::new();

/// Copies what is known of the process. False where it is another's; then what was copied is to be written anew.
#[inline(always)]
pub fn copy_known(owner: &mut Owner, key: TaskKey) -> bool {
    let Some(maker) = MAKERS.get_ptr(0) else {
        return false;
    };
    // SAFETY: an entry of the map, this CPU's own.
    let (known, task) = unsafe { (&*maker, &raw const (*maker).task) };
    // SAFETY: an aligned word; volatile, since another run may write it between any two steps.
    let is_there = || unsafe { task.read_volatile() } == key.task;
    if !is_there() || reread(&known.begun) != key.begun || reread(&known.execs) != key.execs {
        return false;
    }
    copy(owner, &known.owner);
    is_there()
}

/// Keeps what was written of the process, unless this interrupts another run that does.
#[inline(always)]
pub fn keep(owner: &Owner, key: TaskKey) {
    let Some(maker) = MAKERS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: aligned words of an entry of the map, this CPU's own. Volatile, so that they stay in this order.
    unsafe {
        let writers = &raw mut (*maker).writers;
        // No addition returns what was there before Linux 5.12.
        atomic_add(writers, 1);
        if writers.read_volatile() == 1 {
            (&raw mut (*maker).task).write_volatile(0);
            (&raw mut (*maker).begun).write_volatile(key.begun);
            (&raw mut (*maker).execs).write_volatile(key.execs);
            copy(&mut (*maker).owner, owner);
            (&raw mut (*maker).task).write_volatile(key.task);
        }
        atomic_add(writers, u64::MAX);
    }
}
