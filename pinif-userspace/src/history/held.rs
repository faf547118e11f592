//! The file itself, as it is held by the one process that writes it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::tables::{StoreError, is_file};

/// A file's device and inode.
type Number = (u64, u64);

/// The file, locked against others that would write it, too.
#[derive(Debug)]
pub(super) struct Held {
    _file: Option<File>,
    number: Option<Number>,
}

/// Makes the file where it is not there, for its user, and for its group to read; and holds it.
///
/// Where nothing but room is wanted, nothing is held yet, and SQLite says so.
pub(super) fn hold(path: &Path) -> Result<Held, StoreError> {
    let unwritable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::NoFolder(path.to_owned()),
        _ => StoreError::Unwritable {
            path: path.to_owned(),
            error: error.to_string(),
        },
    };
    // SQLite would let everybody read it. What is there is not opened before it is known to be a file.
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o640).open(path);
    let file = match made {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            is_file(path, &fs::metadata(path).map_err(unwritable)?)?;
            let mut options = OpenOptions::new();
            // What was put in its place meanwhile is not waited for.
            options.write(true).custom_flags(libc::O_NONBLOCK);
            options.open(path).map_err(unwritable)?
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            return Ok(Held {
                _file: None,
                number: None,
            });
        }
        Err(error) => return Err(unwritable(error)),
    };
    // It has nothing to do with SQLite's own locks, which are for moments (flock(2), fcntl_locking(2)).
    // A file system without such locks keeps it as well as it can.
    if let Err(Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        return Err(StoreError::Taken(path.to_owned()));
    }
    let found = file.metadata().map_err(unwritable)?;
    Ok(Held {
        _file: Some(file),
        number: Some((found.dev(), found.ino())),
    })
}

impl Held {
    /// Whether it is what is at this path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let found = number(path);
        found.is_some() && (self.number.is_none() || self.number == found)
    }
}

/// What SQLite has beside a file: its log (`-wal`), and the index of that (`-shm`).
#[derive(Debug)]
pub(super) struct Log {
    log: PathBuf,
    index: PathBuf,
    number: Option<Number>,
}

impl Log {
    /// What is there, beside a file that is open.
    pub(super) fn beside(path: &Path) -> Self {
        // SQLite has it beside the file itself, and not beside a link to it.
        let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (log, index) = (with(&file, "-wal"), with(&file, "-shm"));
        let number = number(&log);
        Self { log, index, number }
    }

    /// Removes it, where it is there still: it has nothing to do with a file that has come into the place of its own, and SQLite would
    /// write it into that.
    ///
    /// Only who holds that file may do so.
    pub(super) fn remove(self) {
        if self.number.is_none() || self.number != number(&self.log) {
            return;
        }
        // What cannot be removed is empty: what was in it is in its file.
        let _ = fs::remove_file(&self.log);
        let _ = fs::remove_file(&self.index);
    }
}

fn number(path: &Path) -> Option<Number> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// The path with something behind it.
fn with(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    PathBuf::from(path)
}
