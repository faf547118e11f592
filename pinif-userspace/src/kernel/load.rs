//! Loading the programs: once for the machine (the cgroup hooks and all maps), and the traffic program once more for
//! each namespace, with that namespace's cookie as a constant and the same maps.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};
use aya::{Btf, Ebpf, EbpfLoader};
use pinif_ebpf::{key::NetNsCookie, offsets::Offsets};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// The object that `cargo xtask build` made; empty if this binary was built without it.
static OBJECT: &Aligned<[u8]> = &Aligned {
    _align: [],
    bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/pinif.o")),
};

/// Bytes at an address that an ELF reader may read words at.
#[repr(C)]
struct Aligned<T: ?Sized> {
    _align: [u64; 0],
    bytes: T,
}

/// The maps, by the names of their statics in the programs.
const MAPS: [&str; 24] = [
    "ADDRESSES",
    "AYA_LOGS",
    "CARRIERS",
    "CELLS",
    "CGROUPS",
    "CLOSED",
    "DEMANDS",
    "DESTINATIONS",
    "ENDPOINTS",
    "EXECUTABLES",
    "FINDINGS",
    "LINGERING",
    "LOSSES",
    "POLICIES",
    "PORTS",
    "PROTOCOLS",
    "RECORDS",
    "SCRATCH",
    "SIGHTINGS",
    "SLOT",
    "SOURCE_PORTS",
    "SOURCES",
    "USERS",
    "ZONES",
];

/// Loads the programs, all on the same maps.
///
/// The maps are shared by pinning them in a BPF file system of this process's own, mounted nowhere: it goes with the
/// process.
pub struct Loader {
    offsets: Offsets,
    log_level: u8,
    pins: OwnedFd,
}

impl Loader {
    /// Prepares to load, with the kernel's offsets and the level of aya-log (0 is off).
    ///
    /// # Errors
    ///
    /// When this binary has no programs inside, or the kernel has no BPF file system to give.
    pub fn new(offsets: Offsets, log_level: u8) -> Result<Self> {
        if OBJECT.bytes.is_empty() {
            bail!(
                "this binary was built without its eBPF programs: build it with `cargo xtask build`"
            );
        }
        Ok(Self {
            offsets,
            log_level,
            pins: detached_bpffs()?,
        })
    }

    /// Loads everything, for one namespace; the first call makes the maps, later ones use them.
    ///
    /// No program is given to the kernel yet: each user loads the ones that it attaches.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a map, or does not know its type.
    pub fn load(&self, netns: NetNsCookie, btf: Option<&Btf>) -> Result<Ebpf> {
        let mut loader = EbpfLoader::new();
        loader
            .btf(btf)
            .override_global("NETNS", &netns.0, true)
            .override_global("OFFSETS", &self.offsets, true)
            .override_global("AYA_LOG_LEVEL", &self.log_level, false);
        let directory = PathBuf::from(format!("/proc/self/fd/{}", self.pins.as_raw_fd()));
        for name in MAPS {
            loader.map_pin_path(name, directory.join(name));
        }
        let ebpf = loader
            .load(&OBJECT.bytes)
            .context("the kernel refused pinif's maps; `pinif doctor` tells what it lacks")?;
        for (name, _) in ebpf.maps() {
            // A map that is not shared would be counted in and never read.
            if !name.starts_with('.') && !MAPS.contains(&name) {
                bail!("the map {name} is not among those that the programs share");
            }
        }
        Ok(ebpf)
    }
}

/// A BPF file system that is mounted nowhere (`fsopen(2)`, `fsmount(2)`).
fn detached_bpffs() -> Result<OwnedFd> {
    let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)
        .context("no BPF file system can be made (fsopen \"bpf\")")?;
    fsconfig_create(&context).context("no BPF file system can be made (fsconfig)")?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .context("no BPF file system can be made (fsmount)")
}
