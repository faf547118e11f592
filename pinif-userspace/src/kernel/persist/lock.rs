//! One collector at a time: a lock on the directory, which the kernel takes back when the process ends, however it does.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use nix::sys::stat::{fstat, major, minor};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// What came of it.
pub(super) enum Locked {
    /// It is this process's, for as long as the file is open.
    Ours(File),
    /// Another process has it: the one with this id, as far as it can be known.
    HeldBy(Option<u32>),
}

/// Locks a directory.
///
/// # Errors
///
/// When it is not there, or cannot be opened.
pub(super) fn lock(directory: &Path) -> io::Result<Locked> {
    loop {
        // Of a FIFO, opening it would wait for a writer.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(directory)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Locked::HeldBy(holder(&file))),
            Err(error) => return Err(error.into()),
        }
        // Who had it before may have removed the directory.
        let locked = file.metadata()?;
        match std::fs::metadata(directory) {
            Ok(now) if (now.dev(), now.ino()) == (locked.dev(), locked.ino()) => {
                return Ok(Locked::Ours(file));
            }
            _ => {}
        }
    }
}

/// The process that has the lock on an open directory (proc_locks(5)); locking it to find out would keep others from it.
pub(super) fn holder(directory: impl AsFd) -> Option<u32> {
    let metadata = fstat(directory).ok()?;
    let device = metadata.st_dev;
    let wanted = (
        u32::try_from(major(device)).ok()?,
        u32::try_from(minor(device)).ok()?,
        metadata.st_ino,
    );
    let locks = procfs::locks().ok()?;
    locks
        .into_iter()
        .find(|lock| (lock.devmaj, lock.devmin, lock.inode) == wanted)
        .and_then(|lock| u32::try_from(lock.pid?).ok())
        // That of a process in another PID namespace.
        .filter(|&pid| pid != 0)
}
