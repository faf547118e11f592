//! A list of the sockets that can send past TC egress.

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::Iter};
use pinif_ebpf::{bypass::Bypass, capacity, heard::Replies};

use super::{
    load::{AuditSettings, Loader, secret},
    object::program,
    ring::records,
    task_files,
};
use crate::host::kernel_types::{self, KernelTypes};

/// The iterators over them, by the names of their functions: the one that most kernels take, and the one for those that do not
/// (before Linux 5.11).
const ITERATORS: [&str; 2] = ["pinif_bypassing", "pinif_bypassing_by_file"];

/// Gives an iterator to the kernel, once.
///
/// # Errors
///
/// When the kernel refuses both.
pub(super) fn load(ebpf: &mut Ebpf, types: &KernelTypes) -> Result<()> {
    task_files::load_any(ebpf, ITERATORS, types)
        .context("the kernel refused the iterator over packet and AF_XDP sockets")?;
    Ok(())
}

/// Every packet socket and every AF_XDP socket that can send, of all namespaces; one that several processes have, as often.
///
/// It goes over all files of all processes, which takes about a microsecond for ten of them.
///
/// # Errors
///
/// When the iterator is not loaded, or the kernel refuses to run it.
pub(super) fn list(ebpf: &mut Ebpf) -> Result<Vec<Bypass>> {
    let output =
        task_files::read(iterator(ebpf)?).context("packet and AF_XDP sockets cannot be listed")?;
    Ok(records(&output).collect())
}

/// The same without an audit: the programs are loaded for this alone, and go with it.
///
/// # Errors
///
/// What an audit would lack.
pub fn list_once() -> Result<Vec<Bypass>> {
    let loader = Loader::begin();
    let types = kernel_types::of_kernel()?;
    let mut ebpf = loader.audit(&AuditSettings {
        offsets: &types.offsets,
        mark_secret: secret(),
        refuses: false,
        replies: Replies::None,
        learns: false,
        captures: None,
        hears_all: false,
        // None is counted here.
        sockets: capacity::LEAST_SOCKETS,
        log_level: 0,
        persists: false,
        pinned_maps: Vec::new(),
    })?;
    load(&mut ebpf, types)?;
    list(&mut ebpf)
}

/// The iterator that is loaded; the usual one where none is.
fn iterator(ebpf: &mut Ebpf) -> Result<&mut Iter> {
    let loaded = ITERATORS
        .into_iter()
        .find(|name| program::<Iter>(ebpf, name).is_ok_and(|iterator| iterator.fd().is_ok()));
    program(ebpf, loaded.unwrap_or(ITERATORS[0]))
}
