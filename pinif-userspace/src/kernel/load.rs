//! Loading an eBPF object: its maps are made and its programs prepared, once for the machine. No program is given to the kernel
//! yet: each user loads the ones that it attaches.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    panic::resume_unwind,
    path::PathBuf,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf, EbpfLoader,
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};
use pinif_ebpf::{capacity, capture::MOST_RUN, heard::Replies, offsets::Offsets, pin};

use super::{object::Object, sizes, steady};
use crate::host::pid_namespace;

/// What loads an object. A thread of its own makes it, since it reads the kernel's types for itself: some 50 ms
/// (`EbpfLoader::new`), in which a start has other things to do.
pub struct Loader(JoinHandle<EbpfLoader<'static>>);

/// What the audit's programs are given as they are loaded.
pub struct AuditSettings<'a> {
    /// Where this kernel keeps what no helper gives.
    pub offsets: &'a Offsets,
    /// What distinguishes this auditor's marks on packets from others'.
    pub mark_secret: u32,
    /// Whether a program refuses at the cgroup, which needs rooms of its own.
    pub refuses: bool,
    /// Which replies are audited.
    pub replies: Replies,
    /// Whether it is learned what is sent by whom.
    pub learns: bool,
    /// What is captured of each finding, where anything is.
    pub captures: Option<Captures>,
    /// Whether the hook at the sockets sees all sockets, since its cgroup is the root.
    pub hears_all: bool,
    /// How many sockets there is room for.
    pub sockets: u32,
    /// The level of aya-log; 0 is off.
    pub log_level: u8,
    /// Whether the maps are to be those of later instances, too.
    pub persists: bool,
    /// The maps that are pinned, each with its path. They are opened instead of made.
    pub pinned_maps: Vec<(String, PathBuf)>,
}

/// What is captured of each finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captures {
    /// How many packets.
    pub packets: u32,
    /// How many bytes of each, at most: a multiple of eight.
    pub bytes: u32,
}

impl Loader {
    /// Begins to make one.
    pub fn begin() -> Self {
        Self(thread::spawn(EbpfLoader::new))
    }

    /// Loads the audit's object.
    ///
    /// # Errors
    ///
    /// When this binary has no programs inside, or the kernel refuses a map or does not know its type.
    pub fn audit(self, settings: &AuditSettings<'_>) -> Result<Ebpf> {
        let pid_namespace = pid_namespace::of_proc();
        let replies = settings.replies as u32;
        let hears_all = u32::from(settings.hears_all);
        let learns = u32::from(settings.learns);
        let captures = settings.captures;
        let run = captures.map_or(0, |_| (secret() & MOST_RUN).max(1));
        let Captures { packets, bytes } = captures.unwrap_or(Captures {
            packets: 0,
            bytes: 0,
        });
        let of_a_user = capacity::endpoints_of_a_user(settings.sockets);
        let cpus = steady::entries()?;
        self.load(Object::Audit, |loader| {
            loader
                .override_global("OFFSETS", settings.offsets, true)
                .override_global("PID_NAMESPACE", &pid_namespace, true)
                .override_global("MARK_SECRET", &settings.mark_secret, true)
                .override_global("REPLIES", &replies, true)
                .override_global("HEARS_ALL", &hears_all, true)
                .override_global("LEARNS", &learns, true)
                .override_global("CAPTURE_RUN", &run, true)
                .override_global("CAPTURE_PACKETS", &packets, true)
                .override_global("CAPTURE_BYTES", &bytes, true)
                .override_global("ENDPOINTS_OF_A_USER", &of_a_user, true)
                .override_global("AYA_LOG_LEVEL", &settings.log_level, false);
            for (map, entries) in sizes::of_sockets(settings.sockets) {
                loader.map_max_entries(map, entries);
            }
            loader.map_max_entries(steady::NAME, cpus);
            // A later instance may refuse, and audit replies, where this one does not.
            if !settings.refuses && !settings.persists {
                loader.map_max_entries("SCRATCH", 1);
            }
            if settings.replies == Replies::None && !settings.persists {
                loader.map_max_entries("HEARD", 1);
            }
            if !settings.learns {
                for (map, entries) in sizes::WITHOUT_LEARNING {
                    loader.map_max_entries(map, entries);
                }
            }
            if captures.is_none() {
                let (map, size) = sizes::WITHOUT_CAPTURE;
                loader.map_max_entries(map, size);
            }
            for (name, path) in &settings.pinned_maps {
                loader.map_pin_path(name, path);
            }
        })
    }

    /// Loads the object of a pin.
    ///
    /// # Errors
    ///
    /// As of [`Self::audit`].
    pub fn pins(self, offsets: &pin::Offsets) -> Result<Ebpf> {
        let chooses_error =
            is_helper_supported(ProgramType::CgroupSock, BpfHelper::BPF_FUNC_set_retval);
        let offsets = pin::Offsets {
            chooses_error: chooses_error.unwrap_or_default().into(),
            ..*offsets
        };
        self.load(Object::Pins, |loader| {
            loader.override_global("PIN_OFFSETS", &offsets, true);
        })
    }

    fn load<'a>(self, object: Object, configure: impl FnOnce(&mut EbpfLoader<'a>)) -> Result<Ebpf> {
        if object.bytes().is_empty() {
            bail!(
                "this binary was built without its eBPF programs: build it with `cargo xtask build`"
            );
        }
        let Self(thread) = self;
        let mut loader: EbpfLoader<'a> = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        // The programs have no relocations by the kernel's types.
        configure(loader.btf(None));
        loader
            .load(object.bytes())
            .context("the kernel refused pinif's maps; `pinif doctor` shows what it lacks")
    }
}

/// A number that no other auditor on this machine has.
pub(super) fn secret() -> u32 {
    // The standard library keys each of its hash tables at random.
    RandomState::new().build_hasher().finish() as u32
}
