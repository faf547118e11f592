//! The traffic programs, which the entry programs of all interfaces go on with: loaded once for the machine.

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::SchedClassifier};

use crate::kernel::{
    direction::TcDirection,
    entry::Entries,
    object::{program, refusal},
};

/// Loads the traffic program for what leaves, for every namespace's entry programs to go on with. The one for what arrives
/// comes where a policy needs it ([`CgroupHooks::load_ingress`](super::CgroupHooks::load_ingress)): the verifier takes as long for it.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn load_egress(ebpf: &mut Ebpf, entries: &mut Entries) -> Result<()> {
    load_traffic(ebpf, TcDirection::Egress, entries)
}

pub(super) fn load_traffic(
    ebpf: &mut Ebpf,
    direction: TcDirection,
    entries: &mut Entries,
) -> Result<()> {
    entries.put(direction, verify_traffic(ebpf, direction)?.fd()?)
}

pub(super) fn verify_traffic(
    ebpf: &mut Ebpf,
    direction: TcDirection,
) -> Result<&mut SchedClassifier> {
    let name = direction.program();
    let program: &mut SchedClassifier = program(ebpf, name)?;
    program
        .load()
        .map_err(refusal)
        .with_context(|| format!("the kernel refused the program {name} for TC"))?;
    Ok(program)
}
