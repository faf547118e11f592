//! A program's file, as the kernel knows it.

use std::{io, path::Path};

use crate::host::executables::Mounts;

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
}
