//! What the hooks remember of sockets: in the socket's own storage while it lives, by cookie after it was closed.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_ANY, BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type,
    },
    btf_maps::LruHashMap,
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use pinif_ebpf::{capacity, intent::SocketRecord, key::SocketCookie, loss::Loss};

use super::losses;

const FLAGS: usize = (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize;

/// A BTF map definition as aya's `SkStorage`, with `BPF_F_CLONE`: an accepted connection starts with its listener's
/// record (`bpf_sk_storage_clone`).
#[repr(C)]
struct ClonedSkStorage {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const SocketRecord,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; FLAGS],
}

// SAFETY: the pointers are placeholders for the loader and are never followed.
unsafe impl Sync for ClonedSkStorage {}

#[btf_map]
static RECORDS: ClonedSkStorage = ClonedSkStorage {
    r#type: ptr::null(),
    key: ptr::null(),
    value: ptr::null(),
    max_entries: ptr::null(),
    map_flags: ptr::null(),
};

/// Of TCP sockets that were closed: their last segments may come from a time-wait socket, which has no storage.
#[btf_map]
static CLOSED: LruHashMap<
    SocketCookie,
    SocketRecord,
    { capacity::closed(capacity::SOCKETS) as usize },
> = LruHashMap::new();

/// The record of a full socket.
///
/// `sock` is what `bpf_sk_storage_get` takes in this kind of program: the context of a cgroup sock hook, or a socket.
#[inline(always)]
pub fn of(sock: *mut c_void) -> Option<&'static mut SocketRecord> {
    get(sock, 0)
}

/// The record of a full socket, an empty one if it had none.
#[inline(always)]
pub fn of_or_insert(sock: *mut c_void) -> Option<&'static mut SocketRecord> {
    let create = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
    // Where two CPUs give a socket its first storage at once, one of them fails, and finds it the next time
    // (`bpf_local_storage_alloc`).
    let record = get(sock, create).or_else(|| get(sock, create));
    if record.is_none() {
        losses::add_inline(Loss::RecordsFull);
    }
    record
}

#[inline(always)]
fn get(sock: *mut c_void, flags: u64) -> Option<&'static mut SocketRecord> {
    let map = ptr::from_ref(&RECORDS).cast_mut().cast();
    // SAFETY: the helper checks the socket; the storage lives as long as the socket, which outlives the program's run.
    // Two CPUs may write to a socket's record at once; each word of it stays valid.
    unsafe {
        bpf_sk_storage_get(map, sock, ptr::null_mut(), flags)
            .cast::<SocketRecord>()
            .as_mut()
    }
}

/// Keeps the record of a socket that is being closed.
#[inline(always)]
pub fn close(cookie: SocketCookie, record: &SocketRecord) {
    if CLOSED.insert(&cookie, record, u64::from(BPF_ANY)).is_err() {
        losses::add(Loss::RecordsFull);
    }
}

/// The record of a socket that was closed.
#[inline(always)]
pub fn of_closed(cookie: SocketCookie) -> Option<&'static mut SocketRecord> {
    // SAFETY: entries are reused when the table is full, and then name a socket closed later; they are never freed, and each word of one
    // stays valid.
    CLOSED
        .get_ptr_mut(&cookie)
        .map(|record| unsafe { &mut *record })
}
