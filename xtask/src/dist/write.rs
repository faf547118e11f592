//! Files with the permissions that they are distributed with, whatever the machine's own are.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};

/// Copies a file, with the directories above it.
///
/// # Errors
/// Where it cannot be read or written.
pub fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    put(to, &content, mode)
}

/// Writes a text, with the directories above it.
///
/// # Errors
/// Where it cannot be written.
pub fn write(to: &Path, text: &str, mode: u32) -> Result<()> {
    put(to, text.as_bytes(), mode)
}

fn put(to: &Path, content: &[u8], mode: u32) -> Result<()> {
    let parent = to.parent().context("it is below a directory")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(to, content))
        .and_then(|()| fs::set_permissions(to, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", to.display()))
}
