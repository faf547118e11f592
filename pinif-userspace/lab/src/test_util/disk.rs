//! A small disk of one's own, which can be full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use super::bpffs;
use crate::name;

/// A file takes room in steps of this.
const BLOCK: usize = 4096;
/// How many blocks there are.
const BLOCKS: usize = 512;
/// How many of them can be freed again.
const SPARE: usize = 384;

/// A mounted tmpfs with a log on it and no room for more; unmounted when dropped.
#[derive(Debug)]
pub struct FullDisk(PathBuf);

impl FullDisk {
    /// Mounts and fills it; the name of its directory ends in `label`.
    pub fn new(label: &str) -> Result<Self> {
        let path = Path::new(bpffs::DIRECTORY).join(name::unique(label));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let disk = Self(path);
        let size = format!("size={},mode=0700", BLOCK * BLOCKS);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("tmpfs"),
            &disk.0,
            Some("tmpfs"),
            flags,
            Some(size.as_str()),
        )
        .with_context(|| format!("cannot mount a tmpfs at {}", disk.0.display()))?;
        fs::write(disk.spare(), vec![0; BLOCK * SPARE]).context("cannot fill the disk")?;
        let mut log = File::create(disk.log_path()).context("cannot make the log")?;
        // Whole blocks, so that not one byte has room in the last of them.
        let mut line = vec![b'-'; BLOCK];
        line[BLOCK - 1] = b'\n';
        fill(&mut log, &line)?;
        Ok(disk)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The log, to be written to at its end.
    pub fn log(&self) -> Result<File> {
        File::options()
            .append(true)
            .open(self.log_path())
            .context("cannot open the log")
    }

    /// Makes room again.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.spare()).context("cannot free the disk")
    }

    /// Takes all room that there is, until it is freed again.
    pub fn fill(&self) -> Result<()> {
        let mut spare = File::create(self.spare()).context("cannot fill the disk")?;
        fill(&mut spare, &[0; BLOCK])
    }

    /// What was written to the log since it was full.
    pub fn written(&self) -> Result<String> {
        let log = fs::read_to_string(self.log_path()).context("cannot read the log")?;
        let lines = log.split_inclusive('\n');
        Ok(lines.filter(|line| !line.starts_with('-')).collect())
    }

    fn log_path(&self) -> PathBuf {
        self.0.join("log")
    }

    fn spare(&self) -> PathBuf {
        self.0.join("spare")
    }
}

/// Writes such blocks until there is no room for another.
fn fill(file: &mut File, block: &[u8]) -> Result<()> {
    loop {
        match file.write_all(block) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error).context("cannot fill the disk"),
        }
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        bpffs::remove(&self.0);
    }
}
