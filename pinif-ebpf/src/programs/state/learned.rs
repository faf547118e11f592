//! What is sent by whom, where the auditor learns: an entry for packets that a policy cannot distinguish, entered when the first of them is judged.

use aya_ebpf::{
    Global,
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use pinif_ebpf::{
    learned::{ENTRIES, LearnedKey, LearnedSocket, LearnedState, Learner, SOCKETS},
    loss::Loss,
};

use super::{findings::atomic_add, losses};
use crate::reread;

/// Whether the auditor learns. Userspace sets it before the programs are loaded, so that the verifier leaves out what is for it where it
/// does not.
#[unsafe(no_mangle)]
static LEARNS: Global<u32> = Global::new(0);

#[btf_map]
static LEARNED: HashMap<
    LearnedKey,
    LearnedState,
    { ENTRIES as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

/// The sockets that were counted.
#[btf_map]
static LEARNED_SOCKETS: LruHashMap<LearnedSocket, u32, { SOCKETS as usize }> = LruHashMap::new();

/// The entry that is in work on this CPU: it would fill the stack.
#[btf_map]
static LEARNING: PerCpuArray<Entry, 1> = PerCpuArray::new();

/// Who is new.
#[btf_map]
static LEARNERS: RingBuf<Learner, { 64 * 1024 }> = RingBuf::new();

/// An entry, and the socket that it is counted for.
#[repr(C)]
pub struct Entry {
    /// Its key.
    pub key: LearnedKey,
    /// What it is entered with.
    pub state: LearnedState,
    /// Its socket.
    pub socket: LearnedSocket,
}

/// Whether the auditor learns.
#[inline(always)]
pub fn is_on() -> bool {
    LEARNS.load() != 0
}

/// The entry in work. Traffic programs do not interrupt each other.
#[inline(always)]
pub fn in_work() -> Option<&'static mut Entry> {
    let entry = LEARNING.get_ptr_mut(0)?;
    // SAFETY: the entry is this CPU's own, and held by one at a time.
    Some(unsafe { &mut *entry })
}

/// Counts the socket in its entry, once.
#[inline(always)]
pub fn count(entry: &mut Entry) {
    let cookie = reread(&entry.socket.cookie.0);
    let mut new = 1;
    if cookie != 0 {
        // SAFETY: whether it is there is all that is looked at.
        if unsafe { LEARNED_SOCKETS.get(&entry.socket) }.is_some() {
            new = 0;
        } else {
            // The table makes room for it.
            let _ = LEARNED_SOCKETS.insert(&entry.socket, &1, u64::from(BPF_ANY));
        }
    }
    entry.state.sockets = new;
    if grow(entry) {
        return;
    }
    let entered = LEARNED.insert(&entry.key, &entry.state, u64::from(BPF_NOEXIST));
    if entered.is_ok() {
        report(entry);
    } else if !grow(entry) {
        losses::add(Loss::LearnedFull);
    }
}

/// Counts in the entry that is there. False where there is none.
#[inline(always)]
fn grow(entry: &Entry) -> bool {
    let Some(there) = LEARNED.get_ptr_mut(&entry.key) else {
        return false;
    };
    // SAFETY: the entry stays valid for the program's run (entries are freed after an RCU grace period); volatile, since other CPUs
    // write it.
    unsafe {
        atomic_add(&raw mut (*there).sockets, reread(&entry.state.sockets));
        (&raw mut (*there).last).write_volatile(reread(&entry.state.last));
    }
    true
}

/// Reports who has sent. Where there is no room, it stays without a path if its process ends before somebody asks.
#[inline(always)]
fn report(entry: &Entry) {
    let Entry { key, state, .. } = entry;
    if reread(&state.pid) == 0 {
        return;
    }
    if let Some(mut record) = LEARNERS.reserve(0) {
        record.write(Learner {
            cgroup: reread(&key.cgroup),
            executable_inode: reread(&key.executable_inode),
            executable_device: reread(&key.executable_device),
            executable_generation: reread(&key.executable_generation),
            started: reread(&state.started),
            pid: reread(&state.pid),
            _pad: 0,
        });
        record.submit(0);
    }
}
