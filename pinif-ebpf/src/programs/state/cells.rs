//! The matrix: exact counts by bound device, egress interface and verdict. A table gives each cell a number; its counters
//! are in an array under that number, so that a packet whose verdict is cached needs no look-up in the table.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{Array, HashMap, PerCpuArray},
    helpers::generated,
    macros::btf_map,
};
use pinif_ebpf::{
    loss::Loss,
    sighting::{CellKey, Count, bpf_spin_lock},
    verdict_cache::CELL_BITS,
};

use super::{findings::atomic_add, losses};

const MAX_CELLS: usize = 1 << CELL_BITS;

/// The number of each cell.
#[btf_map]
static CELLS: HashMap<CellKey, u32, MAX_CELLS, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What is counted under each number.
#[btf_map]
static COUNTS: PerCpuArray<Count, MAX_CELLS> = PerCpuArray::new();

/// How many numbers were given. Under a lock, since an atomic addition returns nothing before Linux 5.12, on arm64 before 5.18.
#[repr(C)]
struct Numbers {
    lock: bpf_spin_lock,
    given: u32,
}

#[btf_map]
static NUMBERS: Array<Numbers, 1> = Array::new();

/// Adds a packet to its cell, and returns the cell's number; nothing where the table is full.
#[inline(always)]
pub fn add(key: &CellKey, count: Count) -> Option<u32> {
    let Some(number) = number_of(key) else {
        losses::add(Loss::CellsFull);
        return None;
    };
    count_in(number, count);
    Some(number)
}

/// The same, of a program that others may interrupt.
#[inline(always)]
pub fn add_atomically(key: &CellKey, count: Count) {
    let Some(number) = number_of(key) else {
        return losses::add(Loss::CellsFull);
    };
    if let Some(cell) = COUNTS.get_ptr_mut(number) {
        // SAFETY: the entry is this CPU's own, and its members are aligned words.
        unsafe {
            atomic_add(&raw mut (*cell).packets, count.packets);
            atomic_add(&raw mut (*cell).bytes, count.bytes);
        }
    }
}

/// Adds a packet to the cell with this number. No lock: the entry is this CPU's own, and traffic programs do not
/// interrupt each other.
#[inline(always)]
pub fn count_in(number: u32, count: Count) {
    if let Some(cell) = COUNTS.get_ptr_mut(number) {
        // SAFETY: as said above.
        unsafe {
            (*cell).packets += count.packets;
            (*cell).bytes += count.bytes;
        }
    }
}

#[inline(always)]
fn number_of(key: &CellKey) -> Option<u32> {
    if let Some(number) = known(key) {
        return Some(number);
    }
    let number = next()?;
    // Fails where another CPU was first; the number taken here is then nobody's.
    let _ = CELLS.insert(key, &number, u64::from(BPF_NOEXIST));
    known(key)
}

#[inline(always)]
fn known(key: &CellKey) -> Option<u32> {
    // SAFETY: the value is one word, which never changes.
    unsafe { CELLS.get(key) }.copied()
}

/// A number that was given to none.
#[inline(never)]
fn next() -> Option<u32> {
    let numbers = NUMBERS.get_ptr_mut(0)?;
    // SAFETY: the entry is always there, and nobody else writes the number while the lock is held.
    let number = unsafe {
        generated::bpf_spin_lock((&raw mut (*numbers).lock).cast());
        let given = (&raw const (*numbers).given).read_volatile();
        (&raw mut (*numbers).given).write_volatile(given.saturating_add(1));
        generated::bpf_spin_unlock((&raw mut (*numbers).lock).cast());
        given
    };
    (number < MAX_CELLS as u32).then_some(number)
}
