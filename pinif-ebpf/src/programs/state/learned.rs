//! What is sent by whom, where the auditor learns: an entry for packets that a policy cannot distinguish, entered when the first of them is judged.
//! Who sends has a table of its own, which entries name it by a number in: so 100,000 destinations take less than 16 MiB.

use aya_ebpf::{
    Global,
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, LruHashMap, PerCpuArray, RingBuf},
    helpers::generated::bpf_get_smp_processor_id,
    macros::btf_map,
};
use pinif_ebpf::{
    learned::{
        ENTRIES, LearnedKey, LearnedProcess, LearnedSender, LearnedSocket, LearnedState, Learner,
        SENDERS, SOCKETS,
    },
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

#[btf_map]
static LEARNED_SENDERS: HashMap<
    LearnedSender,
    LearnedProcess,
    { SENDERS as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

/// How many numbers this CPU has given to senders.
#[btf_map]
static LEARNED_NUMBERS: PerCpuArray<u32, 1> = PerCpuArray::new();

/// The sockets that were counted.
#[btf_map]
static LEARNED_SOCKETS: LruHashMap<LearnedSocket, u32, { SOCKETS as usize }> = LruHashMap::new();

/// The entry that is in work on this CPU: it would fill the stack.
#[btf_map]
static LEARNING: PerCpuArray<Entry, 1> = PerCpuArray::new();

/// Who is new.
#[btf_map]
static LEARNERS: RingBuf<Learner, { 64 * 1024 }> = RingBuf::new();

/// An entry: who sends, and the socket that it is counted for, in which the key is.
#[repr(C)]
pub struct Entry {
    /// Who sends.
    pub sender: LearnedSender,
    /// What the sender is entered with, but for its number.
    pub process: LearnedProcess,
    /// The socket, with the entry's key but for the sender's number.
    pub socket: LearnedSocket,
    /// What the entry is entered with.
    pub state: LearnedState,
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
    let Some(number) = number_of(entry) else {
        return losses::add(Loss::LearnedFull);
    };
    entry.socket.key.sender = number;
    let mut new = 1;
    if reread(&entry.socket.cookie.0) != 0 {
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
    let entered = LEARNED.insert(&entry.socket.key, &entry.state, u64::from(BPF_NOEXIST));
    if entered.is_err() && !grow(entry) {
        losses::add(Loss::LearnedFull);
    }
}

/// Counts in the entry that is there. False where there is none.
#[inline(always)]
fn grow(entry: &Entry) -> bool {
    let Some(there) = LEARNED.get_ptr_mut(&entry.socket.key) else {
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

/// The number of who sends, which one that is new is given. Nothing where the table is full.
#[inline(always)]
fn number_of(entry: &mut Entry) -> Option<u32> {
    if let Some(number) = known(entry) {
        return Some(number);
    }
    let numbers = LEARNED_NUMBERS.get_ptr_mut(0)?;
    // SAFETY: it is this CPU's own, and traffic programs do not interrupt each other.
    let given = unsafe { numbers.read_volatile() };
    if given >= SENDERS {
        return None;
    }
    // SAFETY: no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    // No other CPU gives it, so that no lock is needed.
    entry.process.number = cpu * SENDERS + given;
    let entered = LEARNED_SENDERS.insert(&entry.sender, &entry.process, u64::from(BPF_NOEXIST));
    if entered.is_err() {
        // Another CPU was first, or there is no room.
        return known(entry);
    }
    // SAFETY: as above.
    unsafe { numbers.write_volatile(given + 1) };
    report(entry);
    Some(reread(&entry.process.number))
}

/// The number of who sends, where it has one.
#[inline(always)]
fn known(entry: &Entry) -> Option<u32> {
    // SAFETY: the entry stays valid for the program's run, and is not changed.
    unsafe { LEARNED_SENDERS.get(&entry.sender) }.map(|process| reread(&process.number))
}

/// Reports who has sent. Where there is no room, it stays without a path if its process ends before somebody asks.
#[inline(always)]
fn report(entry: &Entry) {
    let Entry {
        sender, process, ..
    } = entry;
    if reread(&process.pid) == 0 {
        return;
    }
    if let Some(mut record) = LEARNERS.reserve(0) {
        record.write(Learner {
            cgroup: reread(&sender.cgroup),
            executable_inode: reread(&sender.executable_inode),
            executable_device: reread(&sender.executable_device),
            executable_generation: reread(&sender.executable_generation),
            started: reread(&process.started),
            pid: reread(&process.pid),
            _pad: 0,
        });
        record.submit(0);
    }
}
