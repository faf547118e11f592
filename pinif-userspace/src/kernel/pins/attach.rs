//! `BPF_PROG_ATTACH`, `BPF_PROG_DETACH` and `BPF_PROG_QUERY` of a cgroup (bpf(2)): aya attaches by links, which end with
//! the process that holds them.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd},
    path::Path,
};

use anyhow::{Result, anyhow};
use aya::programs::{ProgramFd, ProgramInfo, loaded_programs};

use crate::{kernel::syscall, text::shell};

/// Commands of bpf(2).
const BPF_PROG_ATTACH: u32 = 8;
const BPF_PROG_DETACH: u32 = 9;
const BPF_PROG_QUERY: u32 = 16;
/// Programs of cgroups above and below are run as well.
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
/// How many programs a cgroup may have of one kind (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;

/// Where a pin's programs are attached, in the order in which they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Egress,
    SetSockOpt,
    SockCreate,
    Bind4,
    Bind6,
    Connect4,
    Connect6,
}

impl Hook {
    pub const ALL: [Self; 7] = [
        Self::Egress,
        Self::SetSockOpt,
        Self::Bind4,
        Self::Bind6,
        Self::Connect4,
        Self::Connect6,
        Self::SockCreate,
    ];

    /// The program's function. The kernel keeps 15 bytes of it.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Egress => "pinif_pin_out",
            Self::SetSockOpt => "pinif_pin_opt",
            Self::SockCreate => "pinif_pin_sock",
            Self::Bind4 => "pinif_pin_bind4",
            Self::Bind6 => "pinif_pin_bind6",
            Self::Connect4 => "pinif_pin_con4",
            Self::Connect6 => "pinif_pin_con6",
        }
    }

    /// `enum bpf_attach_type`.
    const fn number(self) -> u32 {
        match self {
            Self::Egress => 1,
            Self::SockCreate => 2,
            Self::Bind4 => 8,
            Self::Bind6 => 9,
            Self::Connect4 => 10,
            Self::Connect6 => 11,
            Self::SetSockOpt => 22,
        }
    }
}

/// The part of `union bpf_attr` that these commands use.
#[repr(C)]
#[derive(Default)]
struct Attr {
    target: u32,
    /// The program; of a query, the kind.
    program_or_kind: u32,
    /// The kind; of a query, its flags.
    kind_or_flags: u32,
    /// The flags; of a query, those of the programs.
    flags: u32,
    /// Of a query: the room for ids.
    ids: u64,
    /// Of a query: how many there is room for, and how many there are.
    count: u32,
    _rest: [u32; 9],
}

const _: () = assert!(size_of::<Attr>() == 64);

fn bpf(command: u32, attr: &mut Attr) -> io::Result<()> {
    // SAFETY: zero where they say nothing, and the room for ids that they may point to lives through the call.
    unsafe { syscall::bpf(command, attr) }.map(|_| ())
}

fn descriptor(file: &impl AsRawFd) -> u32 {
    file.as_raw_fd().cast_unsigned()
}

pub(super) fn attach(cgroup: &File, hook: Hook, program: &ProgramFd) -> io::Result<()> {
    bpf(
        BPF_PROG_ATTACH,
        &mut Attr {
            target: descriptor(cgroup),
            program_or_kind: descriptor(&program.as_fd()),
            kind_or_flags: hook.number(),
            flags: BPF_F_ALLOW_MULTI,
            ..Attr::default()
        },
    )
}

pub(super) fn detach(cgroup: &File, hook: Hook, program: &ProgramFd) -> io::Result<()> {
    bpf(
        BPF_PROG_DETACH,
        &mut Attr {
            target: descriptor(cgroup),
            program_or_kind: descriptor(&program.as_fd()),
            kind_or_flags: hook.number(),
            ..Attr::default()
        },
    )
}

/// A pin's programs that the cgroup itself has.
pub(super) fn attached(cgroup: &File, hook: Hook) -> Result<Vec<ProgramInfo>> {
    let mut ids = [0u32; MOST];
    let mut attr = Attr {
        target: descriptor(cgroup),
        program_or_kind: hook.number(),
        ids: ids.as_mut_ptr() as u64,
        count: MOST as u32,
        ..Attr::default()
    };
    bpf(BPF_PROG_QUERY, &mut attr)?;
    let ids = &ids[..(attr.count as usize).min(MOST)];
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // One that goes away meanwhile is none of these.
    let programs = loaded_programs().filter_map(Result::ok);
    Ok(programs
        .filter(|program| {
            ids.contains(&program.id()) && program.name() == hook.program().as_bytes()
        })
        .collect())
}

/// Why a program was not attached.
pub(super) fn explain(error: io::Error, cgroup: &Path) -> anyhow::Error {
    let shown = cgroup.display();
    match error.raw_os_error() {
        Some(libc::EPERM) => anyhow!(
            "the kernel lets no program be attached to the cgroup {shown}: one of a cgroup above it allows none below; \
             `bpftool cgroup tree` shows it"
        ),
        Some(libc::E2BIG) => anyhow!(
            "the cgroup {shown} has {MOST} programs of a kind, and can have no more; `bpftool cgroup show {}` \
             shows them",
            shell::path(cgroup)
        ),
        _ => anyhow!(error).context(format!("a pin cannot be attached to the cgroup {shown}")),
    }
}
