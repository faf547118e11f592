//! The maps of a pin.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{Array, HashMap, LruHashMap},
    helpers::bpf_probe_read_kernel,
    macros::btf_map,
};
use pinif_ebpf::{
    intent::Name,
    key::{IfIndex, NetNsCookie},
    pin::{self, Attempt, EgressStats, Offsets, Pin, PinCounters},
};

/// Where this kernel keeps what no helper gives.
#[unsafe(no_mangle)]
static PIN_OFFSETS: Global<Offsets> = Global::new(Offsets {
    skb_device: 0,
    device_name: 0,
    device_netns: 0,
    net_cookie: 0,
    net_inode: 0,
    sock_netns: 0,
    task_tgid: 0,
    task_comm: 0,
    chooses_error: 0,
    sock_bound_device: 0,
    connection_first: 0,
    sock_ulp_data: 0,
    skb_sock: 0,
    skb_head: 0,
    skb_end: 0,
    shared_segments: 0,
    sock_state: 0,
    sock_cookie: 0,
    request_listener: 0,
    device_index: 0,
    skb_control: 0,
    ipv4_flags: 0,
    ipv6_flags: 0,
});

#[btf_map]
static PIN: Array<Pin, 1> = Array::new();

/// The interfaces by which packets may leave, with the names that they must have: the one of the pin, those that belong
/// to it where it is a VRF, and loopback. [`IfIndex::NONE`] stands for all of them, for what IPsec has encrypted.
#[btf_map]
static INTERFACE_SET: HashMap<IfIndex, Name, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

#[btf_map]
static EGRESS_STATS: HashMap<IfIndex, EgressStats, 1024, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
static COUNTERS: Array<PinCounters, 1> = Array::new();

#[btf_map]
static ATTEMPTS: HashMap<Attempt, u64, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// The sockets that sent of late, by their cookies. One is entered before its packet goes on, so that there need not be room for all.
#[btf_map]
static SENDERS: LruHashMap<u64, u8, 1024> = LruHashMap::new();

/// The packets that reached each interface.
#[btf_map]
static ARRIVED: HashMap<IfIndex, u64, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Enters a socket that sends.
#[inline(always)]
pub fn sends(cookie: u64) {
    if SENDERS.get_ptr(cookie).is_none() {
        let _ = SENDERS.insert(cookie, 1, 0);
    }
}

/// Whether a socket is one that sends.
#[inline(always)]
pub fn is_sender(cookie: u64) -> bool {
    cookie != 0 && SENDERS.get_ptr(cookie).is_some()
}

/// Counts packets that reached an interface.
#[inline(always)]
pub fn count_arrival(interface: IfIndex, packets: u64) {
    if ARRIVED.get_ptr_mut(interface).is_none() {
        let _ = ARRIVED.insert(interface, 0, u64::from(BPF_NOEXIST));
    }
    if let Some(arrived) = ARRIVED.get_ptr_mut(interface) {
        // SAFETY: the entry stays valid for the program's run.
        unsafe { atomic_add(arrived, packets) };
    }
}

/// The offsets.
#[inline(always)]
pub fn offsets() -> Offsets {
    PIN_OFFSETS.load()
}

/// A pointer as a number: the verifier allows no arithmetic on the pointers that it follows.
#[inline(always)]
pub fn number_of(pointer: *const core::ffi::c_void) -> u64 {
    read((&raw const pointer) as u64, 0)
}

/// What is at an offset of a structure of the kernel; zeros where nothing can be read.
#[inline(always)]
pub fn read<T: Default>(structure: u64, offset: u32) -> T {
    let address = structure + u64::from(offset);
    // SAFETY: the helper checks the address itself, and fails where there is nothing.
    unsafe { bpf_probe_read_kernel(address as *const T) }.unwrap_or_default()
}

/// The cookie of a namespace (`struct net`), or the inode number that stands for it.
#[inline(always)]
pub fn netns_cookie(net: u64, at: &Offsets) -> NetNsCookie {
    NetNsCookie(if at.net_inode == 0 {
        read(net, at.net_cookie)
    } else {
        read::<u32>(net, at.net_inode).into()
    })
}

/// What the cgroup is pinned to.
#[inline(always)]
pub fn pin() -> Option<&'static Pin> {
    PIN.get(0)
}

/// The name that an interface must have for packets to leave by it.
#[inline(always)]
pub fn allowed_name(interface: IfIndex) -> Option<Name> {
    // SAFETY: userspace replaces entries as a whole, and a name that is torn is no interface's.
    unsafe { INTERFACE_SET.get(interface) }.copied()
}

/// Adds one to a counter.
#[inline(always)]
pub fn count(member: impl FnOnce(&mut PinCounters) -> &mut u64) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: the entry is always there, and the member is one of its own.
        unsafe { atomic_add(member(&mut *counters), 1) };
    }
}

/// Counts packets by their interface: those that left, or those that were dropped.
#[inline(always)]
pub fn count_egress(interface: IfIndex, name: Name, packets: u64, bytes: u64, left: bool) {
    if EGRESS_STATS.get_ptr_mut(interface).is_none() {
        let new = EgressStats {
            name,
            packets: 0,
            bytes: 0,
            dropped_packets: 0,
            dropped_bytes: 0,
        };
        // Another CPU may have been first, and the table may be full: the look-up that follows shows which.
        let _ = EGRESS_STATS.insert(interface, new, u64::from(BPF_NOEXIST));
    }
    let Some(stats) = EGRESS_STATS.get_ptr_mut(interface) else {
        return count(|counters| &mut counters.uncounted);
    };
    // SAFETY: the entry stays valid for the program's run.
    unsafe {
        if left {
            atomic_add(&raw mut (*stats).packets, packets);
            atomic_add(&raw mut (*stats).bytes, bytes);
        } else {
            atomic_add(&raw mut (*stats).dropped_packets, packets);
            atomic_add(&raw mut (*stats).dropped_bytes, bytes);
        }
    }
}

/// Counts an attempt at something else than the pin's interface. The counters have those for which there is no room here, too.
#[inline(always)]
pub fn attempted(attempt: &Attempt) {
    match attempt.what {
        pin::attempt::JOIN => count(|counters| &mut counters.joins),
        _ => count(|counters| &mut counters.refused),
    }
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
