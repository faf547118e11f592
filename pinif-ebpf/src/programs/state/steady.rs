//! What each CPU has counted of the flow that leaks there: its own entry, so that no CPU writes what another one writes. See
//! [`pinif_ebpf::steady`].

use aya_ebpf::{
    btf_maps::Array,
    helpers::generated::{bpf_get_smp_processor_id, bpf_spin_lock, bpf_spin_unlock},
    macros::btf_map,
};
use pinif_ebpf::{
    sample::Of,
    sighting::{Count, FindingKey},
    steady::SteadyFlow,
    wake::Sleeper,
};

use super::{findings, wakes};
use crate::{reread, words::copy};

/// By the number of the CPU. Userspace gives it as many entries as there may be CPUs.
#[btf_map]
static STEADY: Array<SteadyFlow, 1> = Array::new();

/// This CPU's entry. A traffic program stays on its CPU, and no other interrupts it.
#[inline(always)]
fn own() -> Option<*mut SteadyFlow> {
    // SAFETY: the helper has no arguments.
    STEADY.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// Has the next packets of a flow counted here, which has these places among its finding's samples. Zero where they cannot be.
#[inline(always)]
pub fn begin(key: &FindingKey, places: &[u32; 3]) -> u32 {
    let (Some(finding), Some(flow)) = (findings::entry(key), own()) else {
        return 0;
    };
    // SAFETY: both are entries of maps, which stay valid for the program's run. No function may be called while the lock is held.
    unsafe {
        let first_seen = (&raw const (*finding).state.sighting.time).read_volatile();
        let lock = (&raw mut (*flow).lock).cast();
        bpf_spin_lock(lock);
        copy(&mut (*flow).key, key);
        (&raw mut (*flow).first_seen).write_volatile(first_seen);
        let to = (&raw mut (*flow).places).cast::<u32>();
        let mut of = 0;
        while of < Of::ALL.len() {
            to.add(of).write_volatile(reread(&places[of]));
            of += 1;
        }
        bpf_spin_unlock(lock);
    }
    1
}

/// Counts a packet of the flow that [`begin`] was called for. False where it is not counted: never.
#[inline(always)]
pub fn add(count: Count) -> bool {
    let Some(flow) = own() else {
        return false;
    };
    // SAFETY: an entry of the map; only this CPU writes it. Volatile, since userspace reads it meanwhile.
    unsafe {
        let packets = &raw mut (*flow).count.packets;
        packets.write_volatile(packets.read_volatile() + count.packets);
        let bytes = &raw mut (*flow).count.bytes;
        bytes.write_volatile(bytes.read_volatile() + count.bytes);
    }
    // A call costs more than the question.
    if wakes::sleeps(Sleeper::Counters) {
        wakes::pinif_counted();
    }
    true
}

/// Moves to the finding what was counted here.
#[inline(always)]
pub fn settle() {
    let Some(flow) = own() else {
        return;
    };
    // SAFETY: an entry of the map, which only this CPU writes; the places are one of it.
    unsafe {
        let finding = findings::entry(&(*flow).key);
        let lock = (&raw mut (*flow).lock).cast();
        // From here until it is in the finding, userspace sees it at neither place.
        bpf_spin_lock(lock);
        let place = &raw mut (*flow).count;
        let count = place.read_volatile();
        place.write_volatile(Count {
            packets: 0,
            bytes: 0,
        });
        bpf_spin_unlock(lock);
        // Of one that was removed, userspace has read this before it did so.
        if let Some(finding) = finding
            && (&raw const (*finding).state.sighting.time).read_volatile()
                == (&raw const (*flow).first_seen).read_volatile()
        {
            findings::add(finding, count, &(*flow).places);
        }
    }
    wakes::pinif_counted();
}
