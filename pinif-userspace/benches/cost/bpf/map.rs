//! Maps for the steps that are measured.

use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use pinif_userspace::kernel::syscall;

use super::kernel::Program;

const BPF_MAP_CREATE: u32 = 0;
const BPF_MAP_UPDATE_ELEM: u32 = 2;
const BPF_BTF_LOAD: u32 = 18;
const BPF_F_NO_PREALLOC: u32 = 1;

/// A map.
#[derive(Debug)]
pub struct Map(OwnedFd);

/// The kinds that are measured (`enum bpf_map_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// By a key's hash.
    Hash = 1,
    /// By number.
    Array = 2,
    /// Programs, by number.
    Programs = 3,
    /// By a key's hash, a value for each processor.
    PerCpuHash = 5,
    /// By number, a value for each processor.
    PerCpuArray = 6,
    /// By a key's hash, the least recently used replaced.
    LruHash = 9,
    /// By the longest prefix.
    Prefixes = 11,
    /// With a socket.
    SocketStorage = 24,
}

/// The beginning of `union bpf_attr`, as `BPF_MAP_CREATE` has it.
#[repr(C)]
#[derive(Default)]
struct CreateAttributes {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
    interface: u32,
    types: u32,
    key_type: u32,
    value_type: u32,
}

/// The same for `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
struct UpdateAttributes {
    map: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The same for `BPF_BTF_LOAD`.
#[repr(C)]
struct TypesAttributes {
    types: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    _pad: u32,
}

impl Map {
    /// Makes a map with values of 8 bytes (4 of programs).
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(kind: MapKind, key_size: u32, entries: u32) -> Result<Self> {
        let value_size = if kind == MapKind::Programs { 4 } else { 8 };
        Self::with_values(kind, key_size, value_size, entries)
    }

    /// Makes a map with values of this length, in bytes.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn with_values(
        kind: MapKind,
        key_size: u32,
        value_size: u32,
        entries: u32,
    ) -> Result<Self> {
        let mut attributes = CreateAttributes {
            kind: kind as u32,
            key_size,
            value_size,
            entries,
            ..CreateAttributes::default()
        };
        match kind {
            MapKind::Array | MapKind::Programs | MapKind::PerCpuArray | MapKind::LruHash => {}
            MapKind::Hash | MapKind::PerCpuHash | MapKind::Prefixes | MapKind::SocketStorage => {
                attributes.flags = BPF_F_NO_PREALLOC;
            }
        }
        let types = match kind {
            // It is the only one that must have types.
            MapKind::SocketStorage => Some(integers(value_size / 8)?),
            _ => None,
        };
        if let Some(types) = &types {
            attributes.types = types.as_raw_fd().cast_unsigned();
            (attributes.key_type, attributes.value_type) = (1, 3);
        }
        // SAFETY: the attributes point to nothing.
        let descriptor = unsafe { syscall::make(BPF_MAP_CREATE, &mut attributes) };
        Ok(Self(descriptor.with_context(|| {
            format!("the kernel refused a map of kind {kind:?}")
        })?))
    }

    /// Its descriptor, as instructions name it.
    pub fn descriptor(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Enters a key of the map's length, its value all zeros.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn enter(&self, key: &[u8]) -> Result<()> {
        // As much as the processors' values take in all: 8 bytes each.
        const MOST_PROCESSORS: usize = 4096;
        self.update(key, &vec![0; 8 * MOST_PROCESSORS])
    }

    /// Enters a program as the first of a program array.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn enter_program(&self, program: &Program) -> Result<()> {
        self.update(&[0; 4], &program.descriptor().to_ne_bytes())
    }

    fn update(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut attributes = UpdateAttributes {
            map: self.0.as_raw_fd().cast_unsigned(),
            _pad: 0,
            key: key.as_ptr() as u64,
            value: value.as_ptr() as u64,
            flags: 0,
        };
        // SAFETY: key and value outlive the call, and are as long as the kernel reads them.
        unsafe { syscall::bpf(BPF_MAP_UPDATE_ELEM, &mut attributes) }
            .map(|_| ())
            .context("the kernel refused a map's entry")
    }
}

/// Types 1 and 2: integers of four and eight bytes; type 3: so many of the latter (Documentation/bpf/btf.rst).
fn integers(many: u32) -> Result<OwnedFd> {
    const INTEGER: u32 = 1 << 24;
    const ARRAY: u32 = 3 << 24;
    const NAMES: &[u8] = b"\0u32\0u64\0";
    let types: [u32; 14] = [
        1, INTEGER, 4, 32, 5, INTEGER, 8, 64, 0, ARRAY, 0, 2, 1, many,
    ];
    let type_length = size_of_val(&types) as u32;
    let mut blob = Vec::new();
    blob.extend(0xeb9f_u16.to_ne_bytes());
    // Version, flags.
    blob.extend([1, 0]);
    for field in [24, 0, type_length, type_length, NAMES.len() as u32] {
        blob.extend(field.to_ne_bytes());
    }
    blob.extend(types.iter().flat_map(|word| word.to_ne_bytes()));
    blob.extend(NAMES);
    let mut attributes = TypesAttributes {
        types: blob.as_ptr() as u64,
        log: 0,
        size: blob.len() as u32,
        log_size: 0,
        log_level: 0,
        _pad: 0,
    };
    // SAFETY: the types outlive the call, and are as long as is said.
    unsafe { syscall::make(BPF_BTF_LOAD, &mut attributes) }.context("the kernel refused types")
}
