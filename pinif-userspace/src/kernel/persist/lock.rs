//! One collector at a time: a lock on the directory, which the kernel takes back when the process ends, however it does.

use std::{fs::File, io, os::unix::fs::MetadataExt as _, path::Path};

use nix::sys::stat::{major, minor};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// What came of it.
pub(super) enum Locked {
    /// It is this process's, for as long as the file is open.
    Ours(File),
    /// Another has it: this one, as far as it can be known.
    Anothers(Option<u32>),
}

/// Locks a directory.
///
/// # Errors
///
/// When it is not there, or cannot be opened.
pub(super) fn lock(directory: &Path) -> io::Result<Locked> {
    loop {
        let file = File::open(directory)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Locked::Anothers(holder(&file))),
            Err(error) => return Err(error.into()),
        }
        // Who had it before may have removed the directory.
        match std::fs::metadata(directory) {
            Ok(now) if now.ino() == file.metadata()?.ino() => return Ok(Locked::Ours(file)),
            _ => {}
        }
    }
}

/// The process that has locked a directory, as far as it can be known; locking it to find out would keep others from it.
pub(super) fn holder_of(directory: &Path) -> Option<u32> {
    holder(&File::open(directory).ok()?)
}

/// The process that has the lock on a file (proc_locks(5)).
fn holder(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    let wanted = (
        u32::try_from(major(device)).ok()?,
        u32::try_from(minor(device)).ok()?,
        metadata.ino(),
    );
    let locks = procfs::locks().ok()?;
    locks
        .into_iter()
        .find(|lock| (lock.devmaj, lock.devmin, lock.inode) == wanted)
        .and_then(|lock| u32::try_from(lock.pid?).ok())
}
