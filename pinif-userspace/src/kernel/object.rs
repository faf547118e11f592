//! The eBPF objects and the parts that are taken from a loaded one: programs and maps, by their names.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::Map,
    programs::{Program, ProgramError},
};

/// An object that `cargo xtask build` made; empty if this binary was built without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The programs of an audit.
    Audit,
    /// The programs of a pin.
    Pins,
}

impl Object {
    /// The object file.
    pub fn bytes(self) -> &'static [u8] {
        static AUDIT: &Aligned<[u8]> = &Aligned {
            _align: [],
            bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/pinif.o")),
        };
        static PINS: &Aligned<[u8]> = &Aligned {
            _align: [],
            bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/pins.o")),
        };
        match self {
            Self::Audit => &AUDIT.bytes,
            Self::Pins => &PINS.bytes,
        }
    }
}

/// Bytes at an address that an ELF reader may read words at.
#[repr(C)]
struct Aligned<T: ?Sized> {
    _align: [u64; 0],
    bytes: T,
}

/// Takes a map out of a loaded object.
///
/// # Errors
///
/// When the object has none of this name.
pub(super) fn take_map(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("the eBPF object has no map {name}"))
}

/// A program of a loaded object by the name of its function.
///
/// # Errors
///
/// When the object has none of this name and type.
pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the eBPF object has no program {name}"))?;
    program
        .try_into()
        .with_context(|| format!("the eBPF program {name} is of another type"))
}

/// What the kernel said when it refused a program, in one line: the verifier's log is for debugging, and its end names
/// what it rejects.
pub(super) fn refusal(error: ProgramError) -> anyhow::Error {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = &error
    else {
        return error.into();
    };
    let log = verifier_log.to_string();
    log::debug!("the verifier's log:\n{log}");
    let complaint = log
        .lines()
        .rev()
        .find(|line| {
            let statistics = ["processed ", "verification time ", "stack depth "];
            !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start))
        })
        .map_or_else(String::new, |line| format!(" (verifier: {line})"));
    anyhow::anyhow!("{io_error}{complaint}")
}
