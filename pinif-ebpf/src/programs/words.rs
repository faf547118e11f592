//! Copying, comparing and clearing by words: where the compiler knows less of the alignment, it goes byte by byte.

use core::ptr;

/// Copies a structure of whole words.
#[inline(always)]
pub fn copy<T: Copy>(to: &mut T, from: &T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    let (to, from) = (
        ptr::from_mut(to).cast::<u64>(),
        ptr::from_ref(from).cast::<u64>(),
    );
    let mut word = 0;
    while word < size_of::<T>() / 8 {
        // SAFETY: within both, which are aligned. Volatile, or the loop would be made a call again.
        unsafe { to.add(word).write_volatile(from.add(word).read_volatile()) };
        word += 1;
    }
}

/// Whether two structures of whole words are the same, without a branch for each.
#[inline(always)]
pub fn are_same<T: Copy>(one: &T, other: &T) -> bool {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    let (one, other) = (
        ptr::from_ref(one).cast::<u64>(),
        ptr::from_ref(other).cast::<u64>(),
    );
    let (mut word, mut differing) = (0, 0);
    while word < size_of::<T>() / 8 {
        // SAFETY: within both, which are aligned. Volatile for the reason above.
        differing |= unsafe { one.add(word).read_volatile() ^ other.add(word).read_volatile() };
        word += 1;
    }
    differing == 0
}

/// Clears a structure of whole words, of which all zeros is a valid one.
#[inline(always)]
pub fn clear<T: Zero>(there: &mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    let there = ptr::from_mut(there).cast::<u64>();
    let mut word = 0;
    while word < size_of::<T>() / 8 {
        // SAFETY: within it, and aligned; all zeros is valid, as the trait says. Volatile for the reason above.
        unsafe { there.add(word).write_volatile(0) };
        word += 1;
    }
}

/// A structure of which all zeros is a valid one.
///
/// # Safety
///
/// It is made of integers.
pub unsafe trait Zero: Copy {}

// SAFETY: integers.
unsafe impl Zero for pinif_ebpf::intent::Owner {}
// SAFETY: integers.
unsafe impl Zero for pinif_ebpf::intent::Name {}
// SAFETY: integers.
unsafe impl Zero for pinif_ebpf::key::Address {}
