//! Wakes userspace that reads nothing on time: once, until it says that it sleeps again.

use aya_ebpf::{
    btf_maps::{Array, RingBuf},
    helpers::generated::bpf_ktime_get_ns,
    macros::btf_map,
};
use pinif_ebpf::wake::{Sleeper, WakeUp, asleep};

/// Not zero: this one sleeps ([`asleep`]). Userspace sets it, and reads once more what it waits for before it does sleep.
#[btf_map]
static ASLEEP: Array<u32, { Sleeper::ALL.len() }> = Array::new();

#[btf_map]
static WAKES: RingBuf<WakeUp, 4096> = RingBuf::new();

/// Whether one sleeps, or is about to.
#[inline(always)]
pub fn sleeps(sleeper: Sleeper) -> bool {
    ASLEEP.get_ptr(sleeper as u32).is_some_and(|sleeps| {
        // SAFETY: an entry of the map; volatile, since userspace and other CPUs write it.
        unsafe { sleeps.read_volatile() != 0 }
    })
}

/// Wakes one that sleeps. That two CPUs may do so at once is well.
#[inline(always)]
pub fn wake(sleeper: Sleeper) {
    let Some(sleeps) = ASLEEP.get_ptr_mut(sleeper as u32) else {
        return;
    };
    // SAFETY: an entry of the map; volatile, since userspace and other CPUs write it.
    let state = unsafe { sleeps.read_volatile() };
    if state == 0 {
        return;
    }
    if state == asleep::TRIES {
        // SAFETY: as above.
        unsafe { sleeps.write_volatile(0) };
        return;
    }
    // There is room: each has one record at a time, and a few more where CPUs meet.
    let Some(mut record) = WAKES.reserve(0) else {
        return;
    };
    // SAFETY: as above.
    unsafe { sleeps.write_volatile(0) };
    record.write(WakeUp {
        // SAFETY: the helper has no arguments.
        time: unsafe { bpf_ktime_get_ns() },
        sleeper: sleeper as u32,
        _pad: 0,
    });
    record.submit(0);
}

/// Wakes whoever reads the counters. Global, so that the verifier goes through it once in a program and not in each place that counts.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn pinif_counted() -> u64 {
    wake(Sleeper::Counters);
    0
}
