//! Reading the kernel's structures, by addresses and offsets.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_probe_read_kernel, generated};

/// A pointer as a number: the verifier allows no arithmetic on the pointers that it follows.
#[inline(always)]
pub fn number_of(pointer: *const c_void) -> u64 {
    let mut number = 0u64;
    read_into(&mut number, (&raw const pointer) as u64, 0);
    number
}

/// Reads the member at an offset into a map or a variable; zeros where nothing can be read, as the kernel has it. The offset is known.
#[inline(always)]
pub fn read_into<T>(place: &mut T, structure: u64, offset: u32) {
    let address = structure + u64::from(offset);
    // SAFETY: the place has room for it; the helper checks the address itself.
    unsafe {
        generated::bpf_probe_read_kernel(
            core::ptr::from_mut(place).cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        );
    }
}

/// Reads the member at an offset into a map or a variable; zeros where nothing can be read, or the offset is unknown.
#[inline(always)]
pub fn read_known<T: Default>(place: &mut T, structure: u64, offset: u32) {
    if offset == 0 {
        *place = T::default();
    } else {
        read_into(place, structure, offset);
    }
}

/// The pointer at an offset, if it is known and not null.
#[inline(always)]
pub fn follow(structure: u64, offset: u32) -> Option<u64> {
    let mut pointer = 0;
    read_known(&mut pointer, structure, offset);
    (pointer != 0).then_some(pointer)
}

/// The member at an offset, if the offset is known.
#[inline(always)]
pub fn read<T>(structure: u64, offset: u32) -> Option<T> {
    if offset == 0 {
        return None;
    }
    let address = structure + u64::from(offset);
    // SAFETY: the helper checks the address itself, and fails where there is nothing.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}
