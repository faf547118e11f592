//! Programs' files, as the kernel knows them.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use procfs::{
    ProcError, ProcResult,
    process::{MountInfos, Process},
};

/// The mounts of a mount namespace, each with the device of its file system (`super_block->s_dev`).
///
/// stat(2) may show another device, and another inode number, than the kernel has: overlayfs, which most containers are
/// on, shows those of the layer below, btrfs a subvolume's.
#[derive(Debug)]
pub struct Mounts(Result<HashMap<u64, u64>, ProcError>);

impl Mounts {
    /// Those of this process.
    pub fn here() -> Self {
        Self::read(Process::myself())
    }

    /// Those of another.
    pub fn of(pid: u32) -> Self {
        let pid = pid.try_into().map_err(|_| ProcError::NotFound(None));
        Self::read(pid.and_then(Process::new))
    }

    fn read(process: ProcResult<Process>) -> Self {
        let mounts = process.and_then(|process| process.mountinfo());
        let known = |mounts: MountInfos| {
            let known = mounts.into_iter().filter_map(|mount| {
                let (major, minor) = mount.majmin.split_once(':')?;
                let device = device(major.parse().ok()?, minor.parse().ok()?);
                Some((mount.mnt_id.try_into().ok()?, device))
            });
            known.collect()
        };
        Self(mounts.map(known))
    }

    /// The device and inode of a file, as the kernel has them in `inode->i_sb->s_dev` and `inode->i_ino`; stat(2)'s device
    /// of a file that is in none of these mounts.
    ///
    /// The device is in the kernel's own encoding (`MKDEV`: major in the upper twelve bits of 32).
    ///
    /// # Errors
    /// Where the file cannot be looked at, or the mounts cannot be read.
    pub fn identity(&self, path: &Path) -> io::Result<(u64, u64)> {
        self.opened(path).map(|(_, identity)| identity)
    }

    /// The same with the file, opened for nothing (`O_PATH`): as long as it is open, no other file has its inode.
    ///
    /// # Errors
    /// As of [`Self::identity`].
    pub fn opened(&self, path: &Path) -> io::Result<(File, (u64, u64))> {
        let mounts = self
            .0
            .as_ref()
            .map_err(|error| io::Error::other(format!("the mounts cannot be read: {error}")))?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(path)?;
        let metadata = file.metadata()?;
        let shown = file_info(&file)?;
        let of_mount = shown.mount.and_then(|mount| mounts.get(&mount).copied());
        let of_stat = device(
            libc::major(metadata.dev()).into(),
            libc::minor(metadata.dev()).into(),
        );
        let identity = (
            of_mount.unwrap_or(of_stat),
            shown.inode.unwrap_or(metadata.ino()),
        );
        Ok((file, identity))
    }
}

const fn device(major: u64, minor: u64) -> u64 {
    major << 20 | minor
}

/// What the kernel shows of an open file (proc_pid_fdinfo(5)).
struct FileInfo {
    /// `mnt_id`.
    mount: Option<u64>,
    /// `ino`, since Linux 5.14.
    inode: Option<u64>,
}

fn file_info(file: &File) -> io::Result<FileInfo> {
    let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
    let text = fs::read_to_string(path)?;
    let number = |name| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(field, _)| *field == name)?;
        value.trim().parse().ok()
    };
    Ok(FileInfo {
        mount: number("mnt_id"),
        inode: number("ino"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_has_the_kernels_numbers() {
        for mounts in [Mounts::here(), Mounts::of(std::process::id())] {
            let found = mounts.identity(Path::new("/proc/self/exe"));
            let (device, inode) = found.expect("identity");
            // /proc/self/maps prints MAJOR(s_dev):MINOR(s_dev) and the inode of the file itself.
            let maps = fs::read_to_string("/proc/self/maps").expect("maps");
            let words: Vec<_> = maps
                .lines()
                .next()
                .expect("a line")
                .split_whitespace()
                .collect();
            let numbers = format!("{:02x}:{:02x}", device >> 20, device & 0xf_ffff);
            assert_eq!(words[3..5], [numbers, inode.to_string()]);
        }
    }

    #[test]
    fn mounts_that_cannot_be_read_make_no_identity() {
        let error = Mounts::of(u32::MAX).identity(Path::new("/proc/self/exe"));
        let error = error.expect_err("no process");
        assert!(
            error.to_string().starts_with("the mounts cannot be read: "),
            "{error}"
        );
    }

    #[test]
    fn in_no_mount_it_is_what_stat_returns() {
        let file = Path::new("/proc/self/exe");
        let none = Mounts(Ok(HashMap::new()));
        let (device, inode) = none.identity(file).expect("identity");
        let metadata = fs::metadata(file).expect("metadata");
        let of_stat = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
        assert_eq!(device, super::device(of_stat.0.into(), of_stat.1.into()));
        assert_eq!(inode, metadata.ino());
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let missing = Mounts::here().identity(Path::new("/nowhere/at/all"));
        assert_eq!(
            missing.expect_err("no such file").kind(),
            io::ErrorKind::NotFound
        );
    }
}
