//! Files for a machine without a disk: a directory as one file, which the kernel unpacks into memory.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::process::in_words;

/// Writes a directory as the kernel unpacks it (`newc` of cpio(5)).
///
/// # Errors
/// Where it cannot be read, or the file cannot be written.
pub fn archive(busybox: &Path, directory: &Path, image: &Path) -> Result<()> {
    let out =
        fs::File::create(image).with_context(|| format!("cannot write {}", image.display()))?;
    let mut command = Command::new("sh");
    command
        .args(["-c", r#""$0" find . | "$0" cpio -o -H newc -R 0:0"#])
        .arg(busybox)
        .current_dir(directory)
        .stdout(out)
        .stderr(Stdio::null());
    if !command.status()?.success() {
        bail!("`{}` failed", in_words(&command));
    }
    Ok(())
}

/// Writes a file, with the directories above it.
///
/// # Errors
/// Where it cannot be written.
pub fn write(path: &Path, text: &str, permissions: u32) -> Result<()> {
    let parent = path.parent().context("it is below a directory")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .and_then(|()| fs::set_permissions(path, mode(permissions)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Copies a program into a directory.
///
/// # Errors
/// Where it cannot be read or written.
pub fn copy(program: &Path, directory: &Path) -> Result<()> {
    let name = program.file_name().context("it has a name")?;
    fs::create_dir_all(directory)
        .and_then(|()| fs::copy(program, directory.join(name)))
        .map(drop)
        .with_context(|| {
            format!(
                "cannot copy {} to {}",
                program.display(),
                directory.display()
            )
        })
}

/// Permissions by the bits of chmod(2).
pub fn mode(permissions: u32) -> fs::Permissions {
    fs::Permissions::from_mode(permissions)
}
