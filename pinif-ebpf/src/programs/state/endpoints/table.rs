//! The table of local endpoints, what each user may hold of it, and the one of endpoints that linger.

use aya_ebpf::{
    Global,
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{HashMap, LruHashMap},
    macros::btf_map,
};
use pinif_ebpf::{
    capacity,
    intent::Flow,
    key::{Address, Endpoint, SocketCookie},
    loss::Loss,
};

use crate::{
    state::{findings::atomic_add, losses},
    words::are_same,
};

/// Of sockets whose release the hooks will see.
#[btf_map]
static ENDPOINTS: HashMap<
    Endpoint,
    Flow,
    { capacity::endpoints(capacity::SOCKETS) as usize },
    { BPF_F_NO_PREALLOC as usize },
> = HashMap::new();

/// Of sockets that were closed (a TCP connection goes on sending for a while) or that no hook sees the release of.
#[btf_map]
static LINGERING: LruHashMap<Endpoint, Flow, { capacity::lingering(capacity::SOCKETS) as usize }> =
    LruHashMap::new();

/// How many endpoints of [`ENDPOINTS`] the sockets of each user hold.
#[btf_map]
static ENDPOINT_SHARES: HashMap<u32, u64, 16384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// How many endpoints of [`ENDPOINTS`] one user may hold. Userspace sets it with the size of that table.
#[unsafe(no_mangle)]
static ENDPOINTS_OF_A_USER: Global<u64> =
    Global::new(capacity::endpoints_of_a_user(capacity::SOCKETS));

/// What the table has for an endpoint.
#[inline(always)]
pub fn get(endpoint: &Endpoint) -> Option<&'static Flow> {
    // SAFETY: entries are freed after an RCU grace period; a reused one is of another socket of this instant, and is known by its cookie.
    unsafe { ENDPOINTS.get(endpoint) }
}

/// What is known of a socket that was closed, or whose release no hook sees.
#[inline(always)]
pub fn closed(endpoint: &Endpoint) -> Option<&'static Flow> {
    // SAFETY: as above.
    unsafe { LINGERING.get(endpoint) }
}

/// An entry, and the places of what is ever written to in it: for all else, an entry is replaced.
pub struct Entry {
    pub known: &'static Flow,
    pub sockets: *mut u64,
    pub sent_from: *mut Address,
}

/// The entry of an endpoint.
#[inline(always)]
pub fn entry(endpoint: &Endpoint) -> Option<Entry> {
    let known = ENDPOINTS.get_ptr_mut(endpoint)?;
    // SAFETY: the entry stays valid for the program's run.
    Some(unsafe {
        Entry {
            known: &*known,
            sockets: &raw mut (*known).sockets,
            sent_from: &raw mut (*known).sent_from,
        }
    })
}

/// Enters an endpoint that the table does not have, in the share of its user. False where it has it, or has no room for it.
#[inline(always)]
pub fn enter_new(endpoint: &Endpoint, flow: &mut Flow) -> bool {
    flow.charged = flow.owner.uid;
    let share = ENDPOINT_SHARES.get_ptr_mut(&flow.charged);
    if is_full(share)
        || ENDPOINTS
            .insert(endpoint, &*flow, u64::from(BPF_NOEXIST))
            .is_err()
    {
        return false;
    }
    charge(share, flow.charged);
    true
}

/// Enters an endpoint of a socket whose release the hooks will see, in the share of its user. Where that is full, it is among
/// those that may be replaced.
#[inline(never)]
pub fn put(endpoint: &Endpoint, flow: &mut Flow) -> u32 {
    let known = get(endpoint);
    let before = known.map(|known| known.charged);
    flow.charged = before.unwrap_or(flow.owner.uid);
    // Where `bind()` named the address, it is there since the call.
    if let Some(known) = known
        && known.cookie == flow.cookie
    {
        if known.bound == flow.bound && are_same(&known.owner, &flow.owner) {
            return 0;
        }
        flow.sockets = known.sockets;
    }
    let share = ENDPOINT_SHARES.get_ptr_mut(&flow.charged);
    let refused = if before.is_none() && is_full(share) {
        Some(Loss::EndpointsFull)
    } else {
        let entered = ENDPOINTS.insert(endpoint, &*flow, u64::from(BPF_ANY));
        entered.err().map(why)
    };
    if let Some(loss) = refused {
        losses::add_inline(loss);
        return put_lingering_at_address(endpoint, flow);
    }
    if before.is_none() {
        charge(share, flow.charged);
    }
    0
}

#[inline(always)]
pub fn put_lingering(endpoint: &Endpoint, flow: &Flow) -> u32 {
    if let Err(error) = LINGERING.insert(endpoint, flow, u64::from(BPF_ANY)) {
        losses::add_inline(why(error));
    }
    0
}

/// The same of one that may be for any address: by that, none is looked for among those that linger.
#[inline(always)]
pub fn put_lingering_at_address(endpoint: &Endpoint, flow: &Flow) -> u32 {
    if endpoint.address.is_unspecified() {
        return 0;
    }
    put_lingering(endpoint, flow)
}

/// What the kernel's refusal of an entry is counted as. A full table has its own error (`htab_map_update_elem`).
#[inline(always)]
const fn why(error: i32) -> Loss {
    const E2BIG: i32 = 7;
    if error == -E2BIG {
        Loss::EndpointsFull
    } else {
        Loss::EndpointsRefused
    }
}

/// Whether a user holds as many as one may. What a user holds is less than none where CPUs that entered and removed one endpoint at once have
/// counted one away twice.
#[inline(always)]
fn is_full(share: Option<*mut u64>) -> bool {
    // SAFETY: the value is a word, read at once.
    let held = share.map_or(0, |count| unsafe { count.read_volatile() }) as i64;
    held >= ENDPOINTS_OF_A_USER.load() as i64
}

#[inline(always)]
fn charge(share: Option<*mut u64>, uid: u32) {
    match share {
        // SAFETY: the entry stays valid for the program's run.
        Some(count) => unsafe { atomic_add(count, 1) },
        None => {
            let _ = ENDPOINT_SHARES.insert(&uid, &1, u64::from(BPF_NOEXIST));
        }
    }
}

#[inline(always)]
fn discharge(uid: u32) {
    if let Some(count) = ENDPOINT_SHARES.get_ptr_mut(&uid) {
        // SAFETY: as above.
        unsafe { atomic_add(count, u64::MAX) };
    }
}

/// Takes a socket out of the entry that it is in as this one, unless another socket has that by now. With the last of its sockets, the entry
/// is removed; where it lingers, it goes as that endpoint to those of sockets that were closed. Not zero: it was in the entry.
#[inline(never)]
pub fn leave(endpoint: &Endpoint, entered_as: SocketCookie, lingers_as: Option<&Endpoint>) -> u32 {
    let Some(Entry {
        known: flow,
        sockets,
        ..
    }) = entry(endpoint)
    else {
        return 0;
    };
    if flow.cookie != entered_as {
        return 0;
    }
    // No addition returns what was there before Linux 5.12: of two that leave at once, both may find themselves the last, and one removes it.
    // SAFETY: an aligned word of the map.
    let left = unsafe {
        atomic_add(sockets, u64::MAX);
        sockets.read_volatile()
    };
    if left == 0 {
        if let Some(endpoint) = lingers_as {
            put_lingering(endpoint, flow);
        }
        let uid = flow.charged;
        if ENDPOINTS.remove(endpoint).is_ok() {
            discharge(uid);
        }
    }
    1
}
