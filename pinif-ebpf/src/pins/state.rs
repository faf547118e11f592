//! The maps of a pin.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    intent::Name,
    key::IfIndex,
    pin::{Attempt, Departure, Offsets, Pin, Tally},
};

/// Where this kernel keeps what no helper tells.
#[unsafe(no_mangle)]
static PIN_OFFSETS: Global<Offsets> = Global::new(Offsets {
    skb_device: 0,
    device_name: 0,
    device_netns: 0,
    net_cookie: 0,
});

#[btf_map]
static PIN: Array<Pin, 1> = Array::new();

/// The interfaces by which packets may leave, with the names that they must have: the one of the pin, those that belong
/// to it where it is a VRF, and loopback.
#[btf_map]
static WAYS: HashMap<IfIndex, Name, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

#[btf_map]
static DEPARTURES: HashMap<IfIndex, Departure, 1024, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
static TALLY: Array<Tally, 1> = Array::new();

#[btf_map]
static ATTEMPTS: HashMap<Attempt, u64, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// The offsets.
#[inline(always)]
pub fn offsets() -> Offsets {
    PIN_OFFSETS.load()
}

/// What the cgroup is pinned to.
#[inline(always)]
pub fn pin() -> Option<&'static Pin> {
    PIN.get(0)
}

/// The name that an interface must have for packets to leave by it.
#[inline(always)]
pub fn way(interface: IfIndex) -> Option<Name> {
    // SAFETY: userspace replaces entries as a whole, and a name that is torn is no interface's.
    unsafe { WAYS.get(interface) }.copied()
}

/// Adds one to a member of the tally.
#[inline(always)]
pub fn count(member: impl FnOnce(&mut Tally) -> &mut u64) {
    if let Some(tally) = TALLY.get_ptr_mut(0) {
        // SAFETY: the entry is always there, and the member is one of its own.
        unsafe { atomic_add(member(&mut *tally), 1) };
    }
}

/// Counts packets by their interface: those that left, or those that were kept.
#[inline(always)]
pub fn depart(interface: IfIndex, name: Name, packets: u64, bytes: u64, left: bool) {
    if DEPARTURES.get_ptr_mut(interface).is_none() {
        let new = Departure {
            name,
            packets: 0,
            bytes: 0,
            kept_packets: 0,
            kept_bytes: 0,
        };
        // Another CPU may have been first, and the table may be full: the look-up that follows tells.
        let _ = DEPARTURES.insert(interface, new, u64::from(BPF_NOEXIST));
    }
    let Some(departure) = DEPARTURES.get_ptr_mut(interface) else {
        return count(|tally| &mut tally.uncounted);
    };
    // SAFETY: the entry stays valid for the program's run.
    unsafe {
        if left {
            atomic_add(&raw mut (*departure).packets, packets);
            atomic_add(&raw mut (*departure).bytes, bytes);
        } else {
            atomic_add(&raw mut (*departure).kept_packets, packets);
            atomic_add(&raw mut (*departure).kept_bytes, bytes);
        }
    }
}

/// Counts an attempt to bind a socket to something else. The tally counts those for which there is no room here, too.
#[inline(always)]
pub fn attempted(attempt: &Attempt) {
    count(|tally| &mut tally.refused);
    if ATTEMPTS.get_ptr_mut(attempt).is_none() {
        let _ = ATTEMPTS.insert(attempt, 0, u64::from(BPF_NOEXIST));
    }
    if let Some(times) = ATTEMPTS.get_ptr_mut(attempt) {
        // SAFETY: the entry stays valid for the program's run.
        unsafe { atomic_add(times, 1) };
    }
}

/// `BPF_ATOMIC | BPF_ADD`: cgroup programs may be preempted, and the target has no `AtomicU64::fetch_add`.
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
