//! Reading a whole map in a few system calls (`BPF_MAP_LOOKUP_BATCH`, bpf(2)), where a walk from key to key takes two
//! for each entry.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    ptr,
};

use aya::Pod;

use super::syscall::bpf;

const BPF_MAP_LOOKUP_BATCH: u32 = 24;
const BPF_F_LOCK: u64 = 4;

/// Entries of a call: what a megabyte or less has room for, of pinif's largest.
const ENTRIES: usize = 512;

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

/// The entries of a map, some at a time. What is added or removed meanwhile is there or not; all else is there once.
///
/// `F` is the map's descriptor: one of its own, or one that is borrowed while it is read.
pub struct Batches<K, V, F = OwnedFd> {
    map: F,
    /// How each value is read.
    flags: u64,
    keys: Vec<MaybeUninit<K>>,
    values: Vec<MaybeUninit<V>>,
    /// Where the next call goes on: a bucket's number; none at the beginning.
    place: Option<u32>,
    is_over: bool,
}

impl<K: Pod, V: Pod, F: AsFd> Batches<K, V, F> {
    /// The entries of a hash map, whose keys and values these are.
    pub fn of(map: F) -> Self {
        Self::with(map, ENTRIES, 0)
    }

    /// The entries of an array that has so many, whose indexes and values these are; each value is read while its lock is held
    /// (`struct bpf_spin_lock`).
    pub fn locked(map: F, entries: usize) -> Self {
        // With room for one more, the first call finds the end, and there is no second one.
        Self::with(map, entries + 1, BPF_F_LOCK)
    }

    fn with(map: F, entries: usize, flags: u64) -> Self {
        Self {
            map,
            flags,
            keys: vec![MaybeUninit::uninit(); entries],
            values: vec![MaybeUninit::uninit(); entries],
            place: None,
            is_over: false,
        }
    }

    /// The next ones; nothing at the end.
    ///
    /// # Errors
    ///
    /// The kernel's, for a map of another type or size.
    pub fn next(&mut self) -> io::Result<Option<impl Iterator<Item = (K, V)>>> {
        if self.is_over {
            return Ok(None);
        }
        let read = self.read()?;
        let entries = self.keys.iter().zip(&self.values).take(read);
        Ok(Some(entries.map(|(key, value)| {
            // SAFETY: the kernel has written these, and any bytes are a valid `Pod`.
            unsafe { (key.assume_init(), value.assume_init()) }
        })))
    }

    fn read(&mut self) -> io::Result<usize> {
        loop {
            let mut next = 0u32;
            let mut attributes = Attributes {
                from: self
                    .place
                    .as_ref()
                    .map_or(0, |place| ptr::from_ref(place).expose_provenance() as u64),
                next: (&raw mut next).expose_provenance() as u64,
                keys: self.keys.as_mut_ptr().expose_provenance() as u64,
                values: self.values.as_mut_ptr().expose_provenance() as u64,
                count: self.keys.len() as u32,
                map: self.map.as_fd().as_raw_fd().cast_unsigned(),
                element_flags: self.flags,
                ..Attributes::default()
            };
            // SAFETY: the kernel reads the attributes, and writes at most `count` keys and values of the map's sizes, which
            // are those of `K` and `V`: the maps are made from the same types.
            match unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) } {
                Ok(_) => self.place = Some(next),
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOENT) => self.is_over = true,
                    // A bucket has more entries than there is room for.
                    Some(libc::ENOSPC) => {
                        let room = self.keys.len() * 2;
                        self.keys.resize(room, MaybeUninit::uninit());
                        self.values.resize(room, MaybeUninit::uninit());
                        continue;
                    }
                    _ => return Err(error),
                },
            }
            return Ok(attributes.count as usize);
        }
    }
}
