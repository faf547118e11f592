//! The findings: an exact counter each, what they have seen, and a record in the ring buffer at the first sighting.

use core::ptr;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, RingBuf},
    helpers::generated::{bpf_spin_lock, bpf_spin_unlock},
    macros::btf_map,
};
use pinif_ebpf::{
    capture::Progress,
    loss::Loss,
    packet::Packet,
    sample::{MOST, Of, Sample, Samples},
    share,
    sighting::{
        Count, FindingKey, FindingState, FindingValue, NewFinding, Sighting, SightingRecord,
    },
    steady::NOWHERE,
};

use super::{losses, shares, wakes};
use crate::{reread, words::copy};

#[btf_map]
static FINDINGS: HashMap<
    FindingKey,
    FindingValue,
    { share::FINDINGS as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

#[btf_map]
static SIGHTINGS: RingBuf<SightingRecord, { 1024 * 1024 }> = RingBuf::new();

/// Where a packet is counted among its finding's samples. By [`Of`].
#[repr(C)]
pub struct Sampling {
    /// The place at which each sample is looked for first: where it was found last; [`NOWHERE`] where it is not there, and will not be.
    pub places: [u32; 3],
    /// The bits of those that were not there.
    missed: u32,
}

/// What [`grow`] returns for a finding that is not there.
pub const ABSENT: u32 = 1 << 31;

/// The steps of a packet that is not contained, for the programs to call in this order; each is verified once
/// ([`crate::verified_once`]).
macro_rules! record {
    ($context:expr, $grow:ident, $enter:ident, $count_sample:ident) => {{
        let mut missed = $grow($context);
        if missed == u64::from($crate::state::findings::ABSENT) {
            // Where it cannot be entered, it is there by now, or what stands in for it is; or the table is full.
            missed = if $enter($context) == 0 {
                $grow($context)
            } else {
                0
            };
            if missed == u64::from($crate::state::findings::ABSENT) {
                $crate::state::losses::add(pinif_ebpf::loss::Loss::FindingsFull);
                missed = 0;
            }
        }
        $crate::state::findings::count_samples!($context, $count_sample, missed);
    }};
}
pub(crate) use record;

/// Counts the samples that [`grow`] has left, by a step that counts one of them.
macro_rules! count_samples {
    ($context:expr, $count_sample:ident, $missed:expr) => {
        if $missed != 0 {
            for _ in pinif_ebpf::sample::Of::ALL {
                if $count_sample($context) == 0 {
                    break;
                }
            }
        }
    };
}
pub(crate) use count_samples;

/// Begins with a packet, of which the count is written: writes what else it adds.
#[inline(always)]
pub fn begin(new: &mut NewFinding, sampling: &mut Sampling, packet: Option<&Packet>) {
    write_samples(&mut new.state, packet);
    let lists = &new.state.samples.lists;
    let mut of = 0;
    while of < Of::ALL.len() {
        // Without a branch, which the verifier would follow.
        sampling.places[of] = u32::from(reread(&lists[of][0].key[0]) == 0) * NOWHERE;
        of += 1;
    }
}

/// Writes what the packet is a sample of, in the first places.
#[inline(always)]
fn write_samples(state: &mut FindingState, packet: Option<&Packet>) {
    let FindingState {
        sighting, samples, ..
    } = state;
    let [processes, sockets, destinations] = &mut samples.lists;
    processes[0].key = Sample::of_process(&sighting.owner);
    sockets[0].key = Sample::of_socket(sighting.cookie);
    destinations[0].key = match packet {
        Some(packet) => Sample::of_destination(packet, packet.destination.words()),
        None => [0; 3],
    };
}

/// Enters a finding, and reports it; zero where it is there already, or cannot be. Where a share is full, the key becomes that
/// of what stands in.
#[inline(always)]
pub fn enter(key: &mut FindingKey, new: &mut NewFinding) -> u32 {
    if let Some(subject) = shares::stand_in(key) {
        key.subject = subject;
    }
    let packets = reread(&new.state.count.packets);
    for list in &mut new.state.samples.lists {
        list[0].packets = if reread(&list[0].key[0]) == 0 {
            0
        } else {
            packets
        };
    }
    // SAFETY: both have the same layout, and zeros are a lock that nobody holds.
    let value = unsafe { &*ptr::from_ref(new).cast::<FindingValue>() };
    if FINDINGS
        .insert(&*key, value, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        shares::charge(key);
        report(key, &new.state.sighting);
        return 1;
    }
    0
}

#[inline(always)]
fn report(key: &FindingKey, sighting: &Sighting) {
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

/// A packet of a finding was given to the socket that receives it, or dropped, or nothing that is seen stands between. That two CPUs may write the
/// same number is well: it is another than before.
#[inline(always)]
pub fn deliver(key: &FindingKey) {
    if let Some(finding) = FINDINGS.get_ptr_mut(key) {
        // SAFETY: the entry stays valid for the program's run; volatile, since other CPUs write it.
        unsafe {
            let delivered = &raw mut (*finding).delivered;
            delivered.write_volatile(delivered.read_volatile().wrapping_add(2) | 1);
        }
        wakes::pinif_counted();
    }
}

/// Adds the packet to its finding, and returns the bits of the samples ([`Of`]) that are not where they are looked for first:
/// mostly a finding has one process, socket and destination. [`ABSENT`] where it is not there.
#[inline(always)]
pub fn grow(key: &FindingKey, new: &NewFinding, sampling: &mut Sampling) -> u32 {
    let Some(finding) = FINDINGS.get_ptr_mut(key) else {
        return ABSENT;
    };
    let Sampling {
        places: last,
        missed,
    } = sampling;
    *missed = 0;
    let packets = reread(&new.state.count.packets);
    // SAFETY: the entry stays valid for the program's run (entries are freed after an RCU grace period).
    unsafe {
        let state = &raw mut (*finding).state;
        atomic_add(&raw mut (*state).count.packets, packets);
        atomic_add(
            &raw mut (*state).count.bytes,
            reread(&new.state.count.bytes),
        );
        let (samples, mine) = (&raw mut (*state).samples, &raw const new.state.samples);
        let mut of = 0;
        while of < Of::ALL.len() {
            let key = reread(&(*places(mine.cast_mut(), of)).key);
            let place = reread(&last[of]) as usize;
            if place < MOST {
                let there = places(samples, of).add(place);
                if is(there, key) {
                    atomic_add(&raw mut (*there).packets, packets);
                } else {
                    // In memory, of which the verifier knows nothing: the ways become one.
                    *missed = reread(missed) | 1 << of;
                }
            }
            of += 1;
        }
    }
    wakes::pinif_counted();
    reread(missed)
}

/// Takes the next of a finding's packets to be captured in this run: which of them it is, from one on. Zero where as many were as are wanted,
/// or it is not there.
#[inline(always)]
pub fn take_to_capture(key: &FindingKey, run: u32, most: u32) -> u32 {
    let Some(finding) = FINDINGS.get_ptr_mut(key) else {
        return 0;
    };
    // SAFETY: the entry stays valid for the program's run; volatile, since other CPUs write it. No function may be called while the lock is
    // held.
    unsafe {
        let captured = &raw mut (*finding).state.samples.captured;
        if Progress(captured.read_volatile()).next(run, most).is_none() {
            return 0;
        }
        let lock = (&raw mut (*finding).lock).cast();
        let mut number = 0;
        bpf_spin_lock(lock);
        if let Some(next) = Progress(captured.read_volatile()).next(run, most) {
            captured.write_volatile(next.0);
            number = next.number();
        }
        bpf_spin_unlock(lock);
        number
    }
}

/// A finding's entry, if it is there.
#[inline(always)]
pub(super) fn entry(key: &FindingKey) -> Option<*mut FindingValue> {
    FINDINGS.get_ptr_mut(key)
}

/// Adds packets to a finding and to its samples at these places.
///
/// # Safety
///
/// The finding is an entry of the table.
#[inline(always)]
pub(super) unsafe fn add(finding: *mut FindingValue, count: Count, at: &[u32; 3]) {
    // SAFETY: as the caller promises; the places are looked at.
    unsafe {
        let state = &raw mut (*finding).state;
        atomic_add(&raw mut (*state).count.packets, count.packets);
        atomic_add(&raw mut (*state).count.bytes, count.bytes);
        let mut of = 0;
        while of < Of::ALL.len() {
            let place = reread(&at[of]) as usize;
            if place < MOST {
                let there = places(&raw mut (*state).samples, of).add(place);
                atomic_add(&raw mut (*there).packets, count.packets);
            }
            of += 1;
        }
    }
}

/// Counts one of the samples that [`grow`] has left, and returns the bits of the others.
#[inline(always)]
pub fn count_sample(key: &FindingKey, new: &NewFinding, sampling: &mut Sampling) -> u32 {
    let Sampling { places, missed } = sampling;
    let bits = reread(missed);
    *missed = if bits & 1 != 0 {
        0
    } else if bits & 2 != 0 {
        1
    } else {
        2
    };
    // Not what was found but any of them, as far as the verifier knows: it checks what follows once.
    let of = reread(missed) as usize;
    *missed = bits & bits.wrapping_sub(1);
    if of >= Of::ALL.len() {
        return 0;
    }
    if let Some(finding) = FINDINGS.get_ptr_mut(key) {
        // SAFETY: an entry of the table, one of its lists, and the place of that.
        unsafe { count_in(finding, of, &new.state, places.as_mut_ptr().add(of)) };
    }
    reread(missed)
}

/// Counts packets for one of the finding's samples, which is entered if there is a free place. Writes which place it has.
///
/// # Safety
///
/// The finding is an entry of the table, `of` is one of [`Of`], and `place` is valid.
#[inline(always)]
unsafe fn count_in(finding: *mut FindingValue, of: usize, new: &FindingState, place: *mut u32) {
    let packets = reread(&new.count.packets);
    // SAFETY: as the caller promises.
    unsafe {
        let key = reread(&(*places((&raw const new.samples).cast_mut(), of)).key);
        let samples = &raw mut (*finding).state.samples;
        let places = places(samples, of);
        let more = (&raw mut (*samples).more).cast::<u32>().add(of);
        // A sample stays in its place for good, and so needs no lock.
        let mut at = 0;
        while at < MOST {
            let there = places.add(at);
            if is(there, key) {
                place.write_volatile(at as u32);
                atomic_add(&raw mut (*there).packets, packets);
                return;
            }
            at += 1;
        }
        if more.read_volatile() != 0 {
            place.write_volatile(NOWHERE);
            return;
        }
        // Two CPUs must not take one place, nor one key two places. No function may be called while the lock is held.
        at = 0;
        bpf_spin_lock((&raw mut (*finding).lock).cast());
        while at < MOST {
            let there = places.add(at);
            let is_free = (&raw const (*there).key[0]).read_volatile() == 0;
            if is_free || is(there, key) {
                if is_free {
                    (&raw mut (*there).key[1]).write_volatile(key[1]);
                    (&raw mut (*there).key[2]).write_volatile(key[2]);
                    // Last, since it is read without the lock.
                    (&raw mut (*there).key[0]).write_volatile(key[0]);
                }
                atomic_add(&raw mut (*there).packets, packets);
                break;
            }
            at += 1;
        }
        // Behind the last, it is nowhere.
        place.write_volatile(at as u32);
        if at == MOST {
            more.write_volatile(1);
        }
        bpf_spin_unlock((&raw mut (*finding).lock).cast());
    }
}

/// The places of one kind. Not by index: a check of the bounds would leave a call of the panic handler, which no program may have.
///
/// # Safety
///
/// `of` is one of [`Of`].
#[inline(always)]
unsafe fn places(samples: *mut Samples, of: usize) -> *mut Sample {
    // SAFETY: as the caller promises.
    unsafe { samples.cast::<[Sample; MOST]>().add(of).cast() }
}

/// Whether a place has this key. All words are compared: a branch for each would be followed by the verifier.
///
/// # Safety
///
/// The place is one of a finding's samples.
#[inline(always)]
unsafe fn is(there: *const Sample, key: [u64; 3]) -> bool {
    // SAFETY: as the caller promises; volatile, since other CPUs write it.
    let theirs = unsafe { (&raw const (*there).key).read_volatile() };
    (theirs[0] ^ key[0]) | (theirs[1] ^ key[1]) | (theirs[2] ^ key[2]) == 0
}

/// `BPF_ATOMIC | BPF_ADD`: the target has no `AtomicU64::fetch_add`.
///
/// # Safety
///
/// `counter` points to eight writable, aligned bytes of a map's value.
#[inline(always)]
pub unsafe fn atomic_add(counter: *mut u64, value: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({counter} + 0) += {value}",
            counter = in(reg) counter,
            value = in(reg) value,
        );
    }
}
