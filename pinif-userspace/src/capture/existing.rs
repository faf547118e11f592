//! Opening the file: one that is there already is continued, if it is this user's alone and a capture.

use std::{
    fs::{File, OpenOptions, symlink_metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;
use rustix::fs::{FlockOperation, OFlags, flock};

/// The type of a section's header, with which each file begins; it is the same in either byte order.
const SECTION: u32 = 0x0a0d_0d0a;
/// What a section header has behind its type and length, in the byte order of whoever wrote it.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// The length of the shortest block: its type, and its length twice.
const SHORTEST: u64 = 12;

/// Opens the file, and makes it where it is not there; and says how long it is. What another run left of a block that it was about to write is
/// cut off.
///
/// # Errors
///
/// Where it cannot be opened; where one is there that is no regular file, or not this user's alone, or no capture, or is written by another
/// auditor.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let made = options().create_new(true).open(path);
    let file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => reopen(path)?,
        made => made.context("it cannot be made")?,
    };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another auditor writes it: name another file");
    }
    let length = whole_blocks(&file).context("it cannot be read")?;
    let Some(length) = length else {
        bail!(
            "it is there already, and no capture of this machine's (pcapng): name another file, or remove it"
        );
    };
    file.set_len(length).context("it cannot be written")?;
    (&file)
        .seek(SeekFrom::Start(length))
        .context("it cannot be written")?;
    Ok((file, length))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // One that is no regular file must not make pinif wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).write(true).mode(0o600);
    options.custom_flags(flags.bits() as i32);
    options
}

/// Opens one that is there.
fn reopen(path: &Path) -> Result<File> {
    // To open a device may do something.
    let there = symlink_metadata(path).context("it cannot be opened")?;
    if !there.is_file() {
        bail!("it is there already, and no regular file: name another file");
    }
    let file = options().open(path).context("it cannot be opened")?;
    let there = file.metadata().context("it cannot be read")?;
    let is_own = there.is_file() && there.uid() == geteuid().as_raw() && there.nlink() == 1;
    if !is_own || there.mode() & 0o077 != 0 {
        bail!(
            "it is there already, and others own it or may open it: name another file, or remove it"
        );
    }
    Ok(file)
}

/// How long that part of the file is that consists of whole blocks. None where it is no capture in this machine's byte order.
fn whole_blocks(mut file: &File) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let mut at = 0;
    while let Some(block) = block_at(file, at, length)? {
        if at == 0 {
            file.seek(SeekFrom::Start(8))?;
            let order = number(file)?;
            if (block.kind, order) != (SECTION, BYTE_ORDER) {
                return Ok(None);
            }
        }
        at += block.length;
    }
    // A section's header is what is written first, at once.
    Ok((at > 0 || length == 0).then_some(at))
}

/// A block of the file.
struct Block {
    kind: u32,
    length: u64,
}

/// The block at this place; none where it is not whole.
fn block_at(mut file: &File, at: u64, end: u64) -> io::Result<Option<Block>> {
    if at + SHORTEST > end {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at))?;
    let (kind, length) = (number(file)?, u64::from(number(file)?));
    if length < SHORTEST || length % 4 != 0 || at + length > end {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at + length - 4))?;
    let is_whole = u64::from(number(file)?) == length;
    Ok(is_whole.then_some(Block { kind, length }))
}

fn number(mut file: &File) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}
