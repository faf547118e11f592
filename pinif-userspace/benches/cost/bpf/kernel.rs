//! bpf(2), where aya has no way for programs that were not in an object file.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use pinif_ebpf::key::IfIndex;

use super::Hook;
use super::assemble::Instruction;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const LICENCE: &CStr = c"Dual MIT/GPL";

/// A loaded program.
#[derive(Debug)]
pub struct Program {
    descriptor: OwnedFd,
    hook: Hook,
    id: u32,
}

/// An attached program; detached when dropped.
#[derive(Debug)]
pub struct Link(#[expect(dead_code, reason = "it is held, not read")] OwnedFd);

/// The beginning of `union bpf_attr`, as `BPF_PROG_LOAD` has it.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

/// The same for `BPF_LINK_CREATE`.
#[repr(C)]
#[derive(Default)]
struct LinkAttributes {
    program: u32,
    /// A cgroup's descriptor or an interface's index.
    target: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    _pad: u32,
    revision: u64,
}

impl Program {
    /// Loads a program for a hook.
    ///
    /// # Errors
    /// Where no program can be attached to the hook, or the verifier refuses this one; its words are in the error.
    pub fn load(hook: Hook, instructions: &[Instruction]) -> Result<Self> {
        let kind = hook
            .program_type()
            .with_context(|| format!("no program can be attached to {hook}"))?;
        let mut log = vec![0_u8; 1 << 16];
        let attributes = LoadAttributes {
            kind,
            instruction_count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            licence: LICENCE.as_ptr() as u64,
            log_level: 1,
            log_size: log.len() as u32,
            log: log.as_mut_ptr() as u64,
            name: *b"pinif_bench\0\0\0\0\0",
            attach_type: hook.0,
            ..LoadAttributes::default()
        };
        // SAFETY: instructions, licence and log outlive the call, and are as long as is said.
        let loaded = unsafe { make(BPF_PROG_LOAD, &attributes) };
        let descriptor = loaded.with_context(|| {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(0);
            let log = String::from_utf8_lossy(&log[..end]);
            format!("the kernel refused a program for {hook}: {}", log.trim())
        })?;
        Ok(Self {
            id: id(&descriptor)?,
            descriptor,
            hook,
        })
    }

    /// The kernel's number for it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its descriptor.
    pub(super) fn descriptor(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }

    /// Attaches it to an interface of the calling thread's namespace, behind all programs that are there (TCX, since
    /// Linux 6.6).
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn attach_to_interface(&self, interface: IfIndex) -> Result<Link> {
        self.link(interface.0)
            .with_context(|| format!("the kernel refused a program on interface {}", interface.0))
    }

    /// Attaches it to a cgroup, beside all programs that are there.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn attach_to_cgroup(&self, cgroup: &File) -> Result<Link> {
        self.link(cgroup.as_raw_fd().cast_unsigned())
            .with_context(|| format!("the kernel refused a program for {} of a cgroup", self.hook))
    }

    fn link(&self, target: u32) -> io::Result<Link> {
        let attributes = LinkAttributes {
            program: self.descriptor.as_raw_fd().cast_unsigned(),
            target,
            attach_type: self.hook.0,
            ..LinkAttributes::default()
        };
        // SAFETY: the attributes point to nothing.
        unsafe { make(BPF_LINK_CREATE, &attributes) }.map(Link)
    }
}

/// The id of the program that a descriptor of this process means.
fn id(descriptor: &OwnedFd) -> Result<u32> {
    let file = format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd());
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("prog_id:"))
        .and_then(|id| id.trim().parse().ok())
        .with_context(|| format!("{file} names no program"))
}

/// A command that makes a descriptor.
///
/// # Safety
///
/// `attributes` are those of the command, which makes a descriptor, and what they point to is there as they say.
pub(super) unsafe fn make<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let descriptor = unsafe { bpf(command, attributes) }?;
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A command that makes nothing.
///
/// # Safety
///
/// `attributes` are those of the command, and what they point to is there as they say.
pub(super) unsafe fn tell<T>(command: libc::c_long, attributes: &T) -> io::Result<()> {
    // SAFETY: as the caller promises.
    unsafe { bpf(command, attributes) }.map(|_| ())
}

/// # Safety
///
/// As of [`tell`].
unsafe fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: as the caller promises; the size is that of what is passed.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(outcome as libc::c_int)
}
