//! Loading the programs and making their maps, once for the machine.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    panic::resume_unwind,
    path::Path,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail};
use aya::{Ebpf, EbpfLoader};
use pinif_ebpf::offsets::Offsets;

use super::{attach::Mode, persist::Persist};

/// The object that `cargo xtask build` made; empty if this binary was built without it.
static OBJECT: &Aligned<[u8]> = &Aligned {
    _align: [],
    bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/pinif.o")),
};

/// The object with the audit's programs; empty if this binary was built without it.
pub fn object() -> &'static [u8] {
    &OBJECT.bytes
}

/// Bytes at an address that an ELF reader may read words at.
#[repr(C)]
struct Aligned<T: ?Sized> {
    _align: [u64; 0],
    bytes: T,
}

/// What loads the object. A thread of its own makes it, since it reads the kernel's types for itself: some 50 ms
/// (`EbpfLoader::new`), in which a start has other things to do.
pub struct Loader(JoinHandle<EbpfLoader<'static>>);

impl Loader {
    /// Begins to make one.
    pub fn begin() -> Self {
        Self(thread::spawn(EbpfLoader::new))
    }

    fn ready(self) -> EbpfLoader<'static> {
        let Self(thread) = self;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Makes the maps and prepares the programs, with the kernel's offsets and the level of aya-log (0 is off). No program is
/// given to the kernel yet: each user loads the ones that it attaches. Where there is something that persists, the maps are
/// those of earlier lives, and stay.
///
/// # Errors
///
/// When this binary has no programs inside, or the kernel refuses a map or does not know its type.
pub fn load(
    loader: Loader,
    offsets: &Offsets,
    log_level: u8,
    persist: Option<&Persist>,
) -> Result<Ebpf> {
    if OBJECT.bytes.is_empty() {
        bail!("this binary was built without its eBPF programs: build it with `cargo xtask build`");
    }
    let secret = persist.map_or_else(secret, Persist::secret);
    let maps = persist.map(Persist::maps).unwrap_or_default();
    let mut loader: EbpfLoader<'_> = loader.ready();
    loader
        // The programs have no relocations by the kernel's types.
        .btf(None)
        .override_global("OFFSETS", offsets, true)
        .override_global("MARK_SECRET", &secret, true)
        .override_global("AYA_LOG_LEVEL", &log_level, false);
    for (name, path) in &maps {
        loader.map_pin_path(name, path);
    }
    let ebpf = loader
        .load(&OBJECT.bytes)
        .context("the kernel refused pinif's maps; `pinif doctor` tells what it lacks")?;
    if let Some(persist) = persist {
        persist.hold(&ebpf)?;
    }
    Ok(ebpf)
}

/// Opens what persists of these programs in a directory ([`Persist::open`]).
///
/// # Errors
///
/// As of that.
pub fn persist(directory: &Path, mode: Mode) -> Result<Persist> {
    Persist::open(directory, &OBJECT.bytes, mode, secret())
}

/// A number that no other auditor on this machine has.
fn secret() -> u32 {
    // The standard library keys each of its hash tables at random.
    RandomState::new().build_hasher().finish() as u32
}
