//! bpf(2) itself, for what aya has no way for.

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

/// `BPF_PROG_LOAD`.
pub const BPF_PROG_LOAD: u32 = 5;

/// The beginning of `union bpf_attr`, as [`BPF_PROG_LOAD`] has it; the kernel takes the rest for zero.
#[repr(C)]
#[derive(Default)]
pub struct LoadAttributes {
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// How many instructions there are.
    pub instruction_count: u32,
    /// Where they are.
    pub instructions: u64,
    /// Where the licence is, ended by a zero.
    pub licence: u64,
    /// How much the verifier tells; zero is nothing.
    pub log_level: u32,
    /// The room for that, in bytes.
    pub log_size: u32,
    /// Where it is.
    pub log: u64,
    /// Ignored by the kernel.
    pub kernel_version: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// The name, ended by a zero ([`name`]).
    pub name: [u8; 16],
}

/// A program's name as the kernel has it: of a longer one, the first 15 bytes.
pub fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    for (byte, &letter) in name[..15].iter_mut().zip(text.as_bytes()) {
        *byte = letter;
    }
    name
}

/// Runs a command; returns what it returns.
///
/// # Errors
///
/// The kernel's. What the command writes into the attributes before it fails is there.
///
/// # Safety
///
/// `attributes` are those of the command, and what they point to is there as they say.
pub unsafe fn bpf<T>(command: u32, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: as the caller promises; the size is that of what is passed.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            libc::c_long::from(command),
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if outcome < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(outcome as libc::c_int)
    }
}

/// Runs a command that makes a descriptor.
///
/// # Errors
///
/// The kernel's.
///
/// # Safety
///
/// As of [`bpf`]; and the command makes a descriptor.
pub unsafe fn make<T>(command: u32, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let descriptor = unsafe { bpf(command, attributes) }?;
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
