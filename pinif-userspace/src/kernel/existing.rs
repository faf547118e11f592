//! Sockets that were there before the hooks: each gets a record with its owner, once.
//!
//! An iterator over the files of all tasks writes the records. Before Linux 5.11 such a program can read what a socket is, but
//! neither find the socket by a helper nor give it storage: there it lists the sockets, and each record is written by a copy of the
//! socket's descriptor (pidfd_getfd(2)).

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{MapData, MapError, SkStorage},
};
use pinif_ebpf::{
    bypass::Bypass as Listed,
    intent::{SocketRecord, flag},
};

use super::{object::program, ring::records, task_files};
use crate::host::{gaps::sockets, kernel_types::KernelTypes};

/// The iterator that writes the records, and the one that lists the sockets, by the names of their functions.
const ITERATORS: [&str; 2] = ["pinif_existing", "pinif_existing_by_file"];
/// The storage of sockets.
const RECORDS: &str = "RECORDS";

type Storage<'a> = SkStorage<&'a mut MapData, SocketRecord>;

/// Gives every socket that has none a record with its owner.
///
/// # Errors
///
/// When the kernel refuses both ways.
pub(super) fn mark(ebpf: &mut Ebpf, types: &KernelTypes) -> Result<()> {
    let listed =
        run(ebpf, types).context("the kernel refused the iterator over existing sockets")?;
    if listed.is_empty() {
        return Ok(());
    }
    let map = ebpf
        .map_mut(RECORDS)
        .with_context(|| format!("the eBPF object has no map {RECORDS}"))?;
    let mut storage = Storage::try_from(map)?;
    for socket in records::<Listed>(&listed) {
        // One that is closed by now, or that may not be copied, stays without.
        if let Ok(Some(copy)) = sockets::copy(&socket) {
            give(&mut storage, &copy, &socket)?;
        }
    }
    Ok(())
}

/// What the iterator lists; nothing where it writes the records itself.
fn run(ebpf: &mut Ebpf, types: &KernelTypes) -> Result<Vec<u8>> {
    let loaded = task_files::load_any(ebpf, ITERATORS, types)?;
    task_files::read(program(ebpf, ITERATORS[loaded])?)
}

fn give(storage: &mut Storage<'_>, copy: &OwnedFd, socket: &Listed) -> Result<(), MapError> {
    let mut record = storage.get(copy, 0).unwrap_or_default();
    if record.owner.is_known() {
        return Ok(());
    }
    record.owner = socket.owner;
    record.netns = socket.netns;
    record.flags |= flag::OWNED;
    record.changed();
    storage.insert(copy, record, 0)
}
