//! A file of the operator's, opened: a regular file, and by what others can change it.
//!
//! The path is walked a name at a time, each directory held open, and each question is asked of what is open. So what was looked at
//! is what is read, whatever is swapped in the meantime.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open as open_file, openat, readlinkat},
    sys::{
        stat::{FileStat, Mode, fstat},
        statfs::{PROC_SUPER_MAGIC, fstatfs},
    },
};

use super::{exposure, problem::Flaw};
use crate::host::path_names::PathNames;

/// To look at something and not open it: a device does nothing, and a FIFO waits for nobody.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// Where a path led.
#[derive(Debug)]
pub(super) struct Opened {
    /// Reading it does not block, but for a stream.
    pub file: File,
    /// What lets others change what is in it.
    pub exposures: Vec<Flaw>,
}

/// Why nothing is opened.
#[derive(Debug)]
pub(super) enum Refusal {
    Error(io::Error),
    /// It is no file, but what is named here.
    NoFile(&'static str),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::Error(errno.into())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Error(error)
    }
}

/// Opens the file at a path. Where `streams` are allowed, the path may also name what pinif has open, as `/dev/stdin` and
/// `/dev/fd/63` do, and this may be a pipe or a terminal. Messages call what the file holds by the name in `of`.
pub(super) fn open(path: &Path, streams: bool, of: &'static str) -> Result<Opened, Refusal> {
    let mut walk = Walk {
        of,
        directory: open_file("/", LOOK | OFlag::O_DIRECTORY, Mode::empty())?,
        at: PathBuf::from("/"),
        names: PathNames::of(&std::path::absolute(path)?),
        exposures: Vec::new(),
    };
    let last = walk.reach_last()?;
    let file = last.open(&walk.directory, streams)?;
    let status = fstat(&file)?;
    if kind(&status) == libc::S_IFREG {
        let path = match readlinkat(&walk.directory, &*last.name) {
            Ok(target) if last.is_descriptor => target.into(),
            _ => walk.at.join(&last.name),
        };
        let exposure = exposure::of_file(of, &path, &status);
        walk.exposures.extend(exposure);
    }
    Ok(Opened {
        file,
        exposures: walk.exposures,
    })
}

struct Walk {
    of: &'static str,
    directory: OwnedFd,
    /// Its path, without links.
    at: PathBuf,
    /// What is to be walked yet.
    names: PathNames,
    exposures: Vec<Flaw>,
}

impl Walk {
    fn reach_last(&mut self) -> Result<Last, Refusal> {
        while let Some(name) = self.names.next() {
            if name == "/" || name == ".." {
                self.enter(&name)?;
                continue;
            }
            let entry = openat(
                &self.directory,
                &*name,
                LOOK | OFlag::O_NOFOLLOW,
                Mode::empty(),
            )?;
            let status = fstat(&entry)?;
            let is_link = kind(&status) == libc::S_IFLNK;
            // These lead to what a process has open, and not to the path that they show (proc_pid_fd(5)). The directory is asked, which is of
            // the same file system: QEMU's 9p refuses to say it of a link (`local_statfs`).
            let is_descriptor =
                is_link && fstatfs(&self.directory)?.filesystem_type() == PROC_SUPER_MAGIC;
            if is_link && !is_descriptor {
                self.follow(&name, &entry, &status)?;
            } else if self.names.are_done() {
                return Ok(Last {
                    name,
                    is_descriptor,
                });
            } else {
                self.enter(&name)?;
            }
        }
        Err(Refusal::Error(io::ErrorKind::IsADirectory.into()))
    }

    fn enter(&mut self, name: &OsStr) -> Result<(), Refusal> {
        self.directory = openat(
            &self.directory,
            name,
            LOOK | OFlag::O_DIRECTORY,
            Mode::empty(),
        )?;
        match name.to_str() {
            Some("..") => drop(self.at.pop()),
            _ => self.at.push(name),
        }
        let status = fstat(&self.directory)?;
        self.exposures
            .extend(exposure::of_directory(self.of, &self.at, &status));
        Ok(())
    }

    fn follow(&mut self, name: &OsStr, link: &OwnedFd, status: &FileStat) -> Result<(), Refusal> {
        let target = readlinkat(link, "")?;
        if !self.names.follow(Path::new(&target)) {
            return Err(Errno::ELOOP.into());
        }
        let directory = fstat(&self.directory)?;
        let exposure = exposure::of_link(self.of, &self.at.join(name), status, &directory);
        self.exposures.extend(exposure);
        Ok(())
    }
}

/// The end of a path.
struct Last {
    name: OsString,
    is_descriptor: bool,
}

impl Last {
    fn open(&self, directory: &OwnedFd, streams: bool) -> Result<File, Refusal> {
        let streams = streams && self.is_descriptor;
        let follow = if self.is_descriptor {
            OFlag::empty()
        } else {
            OFlag::O_NOFOLLOW
        };
        let open = |flags| openat(directory, &*self.name, flags | follow, Mode::empty());
        // Looked at before, for to open a device may do something; and after, for it may be another by now.
        check(&fstat(open(LOOK)?)?, streams)?;
        let file = open(READ)?;
        let status = fstat(&file)?;
        check(&status, streams)?;
        if kind(&status) != libc::S_IFREG {
            fcntl(&file, FcntlArg::F_SETFL(OFlag::O_RDONLY))?;
        }
        Ok(file.into())
    }
}

fn check(status: &FileStat, streams: bool) -> Result<(), Refusal> {
    let what = match kind(status) {
        libc::S_IFREG => return Ok(()),
        libc::S_IFIFO | libc::S_IFCHR if streams => return Ok(()),
        libc::S_IFDIR => return Err(Refusal::Error(io::ErrorKind::IsADirectory.into())),
        libc::S_IFIFO => "a pipe (FIFO)",
        libc::S_IFCHR | libc::S_IFBLK => "a device",
        libc::S_IFSOCK => "a socket",
        libc::S_IFLNK => "a link that was changed meanwhile",
        _ => "no regular file",
    };
    Err(Refusal::NoFile(what))
}

fn kind(status: &FileStat) -> u32 {
    status.st_mode & libc::S_IFMT
}
