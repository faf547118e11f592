//! Programs of somebody else: one of TCX that lets every packet pass, and so ends the run before pinif sees it, one of
//! XDP that lets every packet pass, with or without a map of devices, and one that stands alone on a cgroup.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::net::if_::if_nametoindex;
use pinif_lab::Namespace;
use pinif_userspace::kernel::syscall::{self, BPF_PROG_LOAD, LoadAttributes};

use crate::bench::Bench;

const BPF_MAP_CREATE: u32 = 0;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_MAP_TYPE_DEVMAP: u32 = 14;
const BPF_PROG_TYPE_CGROUP_SKB: u32 = 8;
const BPF_PROG_TYPE_CGROUP_SOCK: u32 = 9;
const BPF_PROG_ATTACH: u32 = 8;
const BPF_CGROUP_INET_EGRESS: u32 = 1;
const BPF_CGROUP_INET_SOCK_CREATE: u32 = 2;
const BPF_XDP: u32 = 37;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;

/// Such a program, attached until this is dropped.
pub struct Foreign {
    _link: File,
}

/// The beginning of `union bpf_attr` for `BPF_MAP_CREATE`.
#[repr(C)]
struct Map {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attachment {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// r0 = 1 (allowed); exit
const ALLOW: [u64; 2] = [1 << 32 | 0xb7, 0x95];
/// r0 = 0 (`TCX_PASS`); exit
const PASS_TCX: [u64; 2] = [0xb7, 0x95];
/// r0 = 2 (`XDP_PASS`); exit
const PASS_XDP: [u64; 2] = [2 << 32 | 0xb7, 0x95];

impl Foreign {
    /// Puts one before all others at the egress of a link of the card.
    pub fn before_all(bench: &Bench, link: &str, name: &str) -> Self {
        let place = (BPF_TCX_EGRESS, syscall::BPF_F_BEFORE);
        attach(bench.card(), link, place, || {
            load(BPF_PROG_TYPE_SCHED_CLS, name, &PASS_TCX)
        })
    }

    /// Puts as many at the ingress of a link as the kernel takes: it refuses any more. They move with the link.
    pub fn fill_ingress(namespace: &Namespace, link: &str) -> Vec<Self> {
        let program = || load(BPF_PROG_TYPE_SCHED_CLS, "full", &PASS_TCX);
        let mut all = Vec::new();
        loop {
            match try_attach(namespace, link, (BPF_TCX_INGRESS, 0), program) {
                Ok(one) => all.push(one),
                // `bpf_mprog_attach`
                Err(error) if error.raw_os_error() == Some(libc::ERANGE) => return all,
                Err(error) => panic!("the program is attached: {error}"),
            }
        }
    }

    /// Puts an XDP program on a link of the card; with a map of devices, which it never uses, if it is one that `sends`.
    pub fn xdp(bench: &Bench, link: &str, name: &str, sends: bool) -> Self {
        attach(bench.card(), link, (BPF_XDP, XDP_FLAGS_SKB_MODE), || {
            if !sends {
                return load(BPF_PROG_TYPE_XDP, name, &PASS_XDP);
            }
            let mut devices = Map {
                kind: BPF_MAP_TYPE_DEVMAP,
                key_size: 4,
                value_size: 4,
                entries: 1,
            };
            // SAFETY: the attributes point to nothing.
            let devices = unsafe { syscall::make(BPF_MAP_CREATE, &mut devices) }?;
            // r1 = the map, by its descriptor (BPF_PSEUDO_MAP_FD), in two places
            let map = u64::from(devices.as_raw_fd().cast_unsigned()) << 32 | 0x1118;
            let instructions = [map, 0, PASS_XDP[0], PASS_XDP[1]];
            load(BPF_PROG_TYPE_XDP, name, &instructions)
        })
    }
}

/// A hook of a cgroup.
#[derive(Clone, Copy, Debug)]
pub enum CgroupHook {
    /// That a socket is made.
    SocketCreate,
    /// That a socket's packet leaves.
    Egress,
}

/// Attaches a program to a hook of a cgroup, alone: the kernel lets no other be attached there or below (`hierarchy_allows_attach`). It
/// goes with the cgroup.
pub fn alone_on(cgroup: &Path, hook: CgroupHook) {
    let (kind, attach_type) = match hook {
        CgroupHook::SocketCreate => (BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE),
        CgroupHook::Egress => (BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS),
    };
    let directory = File::open(cgroup).expect("the cgroup");
    let program = load(kind, "alone", &ALLOW).expect("a program");
    let mut attachment = Attachment {
        target: directory.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        attach_type,
        flags: 0,
    };
    // SAFETY: the attributes point to nothing.
    unsafe { syscall::bpf(BPF_PROG_ATTACH, &mut attachment) }.expect("it is attached");
}

fn load(kind: u32, name: &str, instructions: &[u64]) -> io::Result<OwnedFd> {
    let mut load = LoadAttributes {
        kind,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        licence: c"GPL".as_ptr() as u64,
        name: syscall::name(name),
        ..LoadAttributes::default()
    };
    // SAFETY: instructions and licence outlive the call, and are as long as is said.
    unsafe { syscall::make(BPF_PROG_LOAD, &mut load) }
}

fn attach(
    namespace: &Namespace,
    link: &str,
    place: (u32, u32),
    program: impl FnOnce() -> io::Result<OwnedFd> + Send,
) -> Foreign {
    try_attach(namespace, link, place, program).expect("the program is attached")
}

fn try_attach(
    namespace: &Namespace,
    link: &str,
    (attach_type, flags): (u32, u32),
    program: impl FnOnce() -> io::Result<OwnedFd> + Send,
) -> io::Result<Foreign> {
    let attached = namespace.run(|| {
        let program = program()?;
        syscall::link(&program, if_nametoindex(link)?, attach_type, flags)
    });
    let attached: io::Result<OwnedFd> = attached.expect("the namespace is there");
    Ok(Foreign {
        _link: attached?.into(),
    })
}
