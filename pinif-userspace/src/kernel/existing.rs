//! Sockets that were there before the hooks: each gets a record with its owner, once.
//!
//! An iterator over the files of all tasks writes the records. Before Linux 5.11 such a program can read what a socket is, but
//! neither find the socket by a helper nor give it storage: there it lists the sockets, and each record is written by a descriptor of
//! the socket (pidfd_getfd(2)).

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{MapData, MapError, SkStorage},
    programs::Iter,
};
use nix::sys::stat::fstat;
use pinif_ebpf::{
    bypass::Bypass as Listed,
    intent::{SocketRecord, flag},
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{object::program, ring::records, task_files};
use crate::host::kernel_types::KernelTypes;

/// The iterator that writes the records.
const MARKING: &str = "pinif_existing";
/// The one that lists the sockets.
const LISTING: &str = "pinif_existing_by_file";
/// The storage of sockets.
const RECORDS: &str = "RECORDS";

type Storage<'a> = SkStorage<&'a mut MapData, SocketRecord>;

/// Gives every socket that has none a record with its owner.
///
/// # Errors
///
/// When the kernel refuses both ways.
pub(super) fn mark(ebpf: &mut Ebpf, types: &KernelTypes) -> Result<()> {
    let refused = match run(ebpf, MARKING, types) {
        Ok(_) => return Ok(()),
        Err(refused) => refused,
    };
    // The first error says what is amiss where another reason than the helper's keeps both away.
    let listed = run(ebpf, LISTING, types).map_err(|_| refused)?;
    let map = ebpf
        .map_mut(RECORDS)
        .with_context(|| format!("the eBPF object has no map {RECORDS}"))?;
    let mut storage = Storage::try_from(map)?;
    for socket in records::<Listed>(&listed) {
        // One that is closed by now, or that may not be taken, stays without.
        if let Some(descriptor) = descriptor_of(&socket) {
            give(&mut storage, &descriptor, &socket)?;
        }
    }
    Ok(())
}

fn run(ebpf: &mut Ebpf, name: &str, types: &KernelTypes) -> Result<Vec<u8>> {
    let iterator: &mut Iter = program(ebpf, name)?;
    task_files::load(iterator, types)
        .and_then(|()| task_files::read(iterator))
        .context("the kernel refused the iterator over existing sockets")
}

/// A descriptor of a socket that was listed; nothing where its process has another file by that number now.
fn descriptor_of(socket: &Listed) -> Option<OwnedFd> {
    let process = Pid::from_raw(socket.owner.pid.cast_signed())?;
    let process = pidfd_open(process, PidfdFlags::empty()).ok()?;
    let number = socket.descriptor.cast_signed();
    let descriptor = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?;
    let file = fstat(&descriptor).ok()?;
    (file.st_ino == socket.inode).then_some(descriptor)
}

fn give(storage: &mut Storage<'_>, descriptor: &OwnedFd, socket: &Listed) -> Result<(), MapError> {
    let mut record = storage.get(descriptor, 0).unwrap_or_default();
    if record.owner.is_known() {
        return Ok(());
    }
    record.owner = socket.owner;
    record.netns = socket.netns;
    record.flags |= flag::OWNED;
    record.changed();
    storage.insert(descriptor, record, 0)
}
