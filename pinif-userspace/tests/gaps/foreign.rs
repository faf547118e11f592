//! A TCX program of somebody else: it lets every packet pass, and so ends the run before pinif sees it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::net::if_::if_nametoindex;

use crate::bench::Bench;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_TCX_EGRESS: u32 = 47;
const BPF_F_BEFORE: u32 = 1 << 3;

/// Such a program, as long as it lives.
pub struct Foreign {
    _link: File,
}

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
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
}

/// The same for `BPF_LINK_CREATE` of TCX.
#[repr(C)]
struct Link {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    _pad: u32,
    expected_revision: u64,
}

impl Foreign {
    /// Puts one before all others at the egress of a link of the card.
    pub fn before_all(bench: &Bench, link: &str, name: &str) -> Self {
        // r0 = TCX_PASS; exit
        let instructions: [u64; 2] = [0xb7, 0x95];
        let mut load = Load {
            kind: BPF_PROG_TYPE_SCHED_CLS,
            instruction_count: 2,
            instructions: instructions.as_ptr() as u64,
            licence: c"GPL".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel_version: 0,
            flags: 0,
            name: [0; 16],
        };
        load.name[..name.len()].copy_from_slice(name.as_bytes());
        let attached = bench.card().run(|| {
            let program = bpf(BPF_PROG_LOAD, &load)?;
            let attributes = Link {
                program: program.as_raw_fd().cast_unsigned(),
                interface: if_nametoindex(link)?,
                attach_type: BPF_TCX_EGRESS,
                flags: BPF_F_BEFORE,
                relative: 0,
                _pad: 0,
                expected_revision: 0,
            };
            bpf(BPF_LINK_CREATE, &attributes)
        });
        let attached: io::Result<OwnedFd> = attached.expect("the card is there");
        Self {
            _link: attached.expect("the program is attached").into(),
        }
    }
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are those of the command, of the size that is told, and what they point to outlives the call.
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
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(outcome as i32) })
}
