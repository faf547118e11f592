//! Reading a whole hash map in a few system calls (`BPF_MAP_LOOKUP_BATCH`, bpf(2)), where a walk from key to key takes two
//! for each entry.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr,
};

use aya::Pod;

use super::syscall::bpf;

const BPF_MAP_LOOKUP_BATCH: u32 = 24;

/// Entries of a call: what a megabyte or less has room for, of pinif's largest.
const ENTRIES: usize = 2048;

/// The `batch` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Every entry of a hash map. What is added or removed meanwhile is there or not; all else is there once.
///
/// # Errors
///
/// The kernel's, for a map of another type or size.
pub fn entries<K: Pod, V: Pod>(map: BorrowedFd<'_>) -> io::Result<Vec<(K, V)>> {
    let mut entries = Vec::new();
    let mut keys = vec![MaybeUninit::<K>::uninit(); ENTRIES];
    let mut values = vec![MaybeUninit::<V>::uninit(); ENTRIES];
    // Where the next call goes on: a bucket's number.
    let mut place: Option<u32> = None;
    loop {
        let mut next = 0u32;
        let mut attributes = Attributes {
            from: place
                .as_ref()
                .map_or(0, |place| ptr::from_ref(place).expose_provenance() as u64),
            next: (&raw mut next).expose_provenance() as u64,
            keys: keys.as_mut_ptr().expose_provenance() as u64,
            values: values.as_mut_ptr().expose_provenance() as u64,
            count: keys.len() as u32,
            map: map.as_raw_fd().cast_unsigned(),
            ..Attributes::default()
        };
        // SAFETY: the kernel reads the attributes, and writes at most `count` keys and values of the map's sizes, which are
        // those of `K` and `V`: the maps are made from the same types.
        let outcome = unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) };
        let is_last = match outcome {
            Ok(_) => false,
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) => true,
                // A bucket has more entries than there is room for.
                Some(libc::ENOSPC) => {
                    let room = keys.len() * 2;
                    keys.resize(room, MaybeUninit::uninit());
                    values.resize(room, MaybeUninit::uninit());
                    continue;
                }
                _ => return Err(error),
            },
        };
        let read = attributes.count as usize;
        entries.extend(keys.iter().zip(&values).take(read).map(|(key, value)| {
            // SAFETY: the kernel has written these, and any bytes are a valid `Pod`.
            unsafe { (key.assume_init(), value.assume_init()) }
        }));
        if is_last {
            return Ok(entries);
        }
        place = Some(next);
    }
}
