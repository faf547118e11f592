//! The findings: an exact counter each, and a record in the ring buffer at the first sighting.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, RingBuf},
    macros::btf_map,
};
use pinif_ebpf::{
    loss::Loss,
    sighting::{Count, FindingKey, FindingValue, Sighting, SightingRecord},
};

use super::losses;
use crate::words::copy;

#[btf_map]
static FINDINGS: HashMap<FindingKey, FindingValue, 65536, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
static SIGHTINGS: RingBuf<SightingRecord, { 1024 * 1024 }> = RingBuf::new();

/// Adds a packet to its finding; `describe` fills in the sighting, in `new`, if it is the first.
#[inline(always)]
pub fn add(
    key: &FindingKey,
    count: Count,
    new: &mut FindingValue,
    describe: impl FnOnce(&mut Sighting),
) {
    if let Some(finding) = FINDINGS.get_ptr_mut(key) {
        return increase(finding, count);
    }
    new.count = count;
    describe(&mut new.sighting);
    insert(key, new);
}

#[inline(never)]
fn insert(key: &FindingKey, new: &FindingValue) {
    if FINDINGS.insert(key, new, u64::from(BPF_NOEXIST)).is_ok() {
        return tell(key, &new.sighting);
    }
    // Another CPU was first, or the table is full.
    match FINDINGS.get_ptr_mut(key) {
        Some(finding) => increase(finding, new.count),
        None => losses::add(Loss::FindingsFull),
    }
}

#[inline(always)]
fn tell(key: &FindingKey, sighting: &Sighting) {
    let Some(mut record) = SIGHTINGS.reserve(0) else {
        return losses::add(Loss::SightingsFull);
    };
    let there = record.as_mut_ptr();
    // SAFETY: the reserved bytes hold a record; written in place, since it would fill the stack.
    unsafe {
        copy(&mut (*there).key, key);
        copy(&mut (*there).sighting, sighting);
    }
    record.submit(0);
}

#[inline(always)]
fn increase(finding: *mut FindingValue, count: Count) {
    // SAFETY: the entry stays valid for the program's run (entries are freed after an RCU grace period).
    unsafe {
        atomic_add(&raw mut (*finding).count.packets, count.packets);
        atomic_add(&raw mut (*finding).count.bytes, count.bytes);
    }
}

/// `BPF_ATOMIC | BPF_ADD`: the target has no `AtomicU64::fetch_add`.
///
/// # Safety
///
/// `counter` points to eight writable, aligned bytes of a map's value.
#[inline(always)]
unsafe fn atomic_add(counter: *mut u64, value: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({counter} + 0) += {value}",
            counter = in(reg) counter,
            value = in(reg) value,
        );
    }
}
