//! Programs that were not in an object file, which aya cannot load.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use pinif_ebpf::key::IfIndex;
use pinif_userspace::kernel::syscall::{self, BPF_PROG_LOAD, LoadAttributes, make, name};

use super::Hook;
use super::assemble::Instruction;

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

/// More of `BPF_PROG_LOAD`'s, for the types of program that are for one hook.
#[repr(C)]
struct HookAttributes {
    load: LoadAttributes,
    /// The device, where hardware runs it.
    interface: u32,
    attach_type: u32,
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
        let load = LoadAttributes {
            kind,
            instruction_count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            licence: LICENCE.as_ptr() as u64,
            log_level: 1,
            log_size: log.len() as u32,
            log: log.as_mut_ptr() as u64,
            name: name("pinif_bench"),
            ..LoadAttributes::default()
        };
        let mut attributes = HookAttributes {
            load,
            interface: 0,
            attach_type: hook.0,
        };
        // SAFETY: instructions, licence and log outlive the call, and are as long as is said.
        let loaded = unsafe { make(BPF_PROG_LOAD, &mut attributes) };
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
        syscall::link(&self.descriptor, target, self.hook.0, 0).map(Link)
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
