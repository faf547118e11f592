//! A program's file, as the kernel knows it.

use std::{io, os::unix::ffi::OsStrExt as _, path::Path};

use crate::{host::executables::Mounts, text::hash::fnv1a};

/// A program's file, by its device and inode ([`Mounts::identity`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    /// The file at a path, which is in one of the mounts.
    ///
    /// # Errors
    ///
    /// Where it cannot be looked at.
    pub fn at(path: &Path, mounts: &Mounts) -> io::Result<Self> {
        let (device, inode) = mounts.identity(path)?;
        Ok(Self { device, inode })
    }

    /// A file that need not be there, by its path alone; where there is one, links on the way are followed.
    pub fn named(path: &Path) -> Self {
        let followed = path.canonicalize();
        let path = followed.as_deref().unwrap_or(path);
        Self {
            // No file system has it: the kernel's have 32 bits.
            device: u64::MAX,
            inode: fnv1a(path.as_os_str().as_bytes().iter().copied()),
        }
    }
}
