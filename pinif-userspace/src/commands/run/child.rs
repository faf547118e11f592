//! The command: begun in its cgroup, waited for, with the signals that pinif gets.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, pipe},
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    errno::Errno,
    libc,
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
    unistd::Pid,
};

use super::signals::Signals;
use crate::host::netns::NetNs;

/// The running command.
pub struct Child(Pid);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Signalled(libc::c_int),
}

/// Why a command was not begun.
pub enum StartError {
    /// It cannot be executed.
    Command(io::Error),
    /// pinif could not put it where it is held.
    Pinif(anyhow::Error),
}

impl Child {
    /// Begins the command, which joins the cgroup and enters the namespace before it is executed, so that no socket of it
    /// is made elsewhere.
    pub fn start(
        command: &[OsString],
        netns: &NetNs,
        cgroup: &Path,
        signals: &Signals,
    ) -> Result<Self, StartError> {
        let file = cgroup.join("cgroup.procs");
        let procs = File::options().write(true).open(&file);
        let procs = procs
            .with_context(|| format!("{} cannot be opened", file.display()))
            .map_err(StartError::Pinif)?;
        let (mut failed, failure) = pipe()
            .map_err(|error| StartError::Pinif(anyhow!(error).context("a pipe cannot be made")))?;
        let (procs_number, failure_number) = (procs.as_raw_fd(), failure.as_raw_fd());
        // To stay where one is wants no privilege, though setns(2) does.
        let netns_number = match NetNs::current() {
            Ok(own) if own == *netns => -1,
            _ => netns.descriptor().as_raw_fd(),
        };
        let before = signals.before();
        let mut child = Command::new(&command[0]);
        child.args(&command[1..]);
        // SAFETY: what runs between fork and exec makes system calls only, of descriptors that are open until then.
        unsafe {
            child.pre_exec(move || {
                libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
                join(procs_number, netns_number, failure_number)
            });
        }
        let started = child.spawn();
        drop((procs, failure));
        match started {
            Ok(child) => Ok(Self(Pid::from_raw(child.id().cast_signed()))),
            Err(error) => {
                let mut joined = Vec::new();
                let _ = failed.read_to_end(&mut joined);
                Err(if joined.is_empty() {
                    StartError::Command(error)
                } else {
                    StartError::Pinif(refusal(error, cgroup))
                })
            }
        }
    }

    /// Waits for its end. What is sent to pinif goes on to it; where it stops, pinif stops as well, so that the shell that
    /// started pinif has its terminal back.
    pub fn wait(self, signals: &Signals) -> Result<End> {
        loop {
            let signal = signals.next()?;
            if signal.number == libc::SIGCHLD {
                if let Some(end) = self.look()? {
                    return Ok(end);
                }
            } else if signal.sent {
                // SAFETY: the command was not waited for yet, so that its number is still its own.
                unsafe { libc::kill(self.0.as_raw(), signal.number) };
            }
        }
    }

    /// Whether it ended.
    fn look(&self) -> Result<Option<End>> {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        loop {
            match waitpid(self.0, Some(flags)) {
                Ok(WaitStatus::Exited(_, status)) => {
                    return Ok(Some(End::Exited(status.to_le_bytes()[0])));
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    return Ok(Some(End::Signalled(signal as libc::c_int)));
                }
                Ok(WaitStatus::Stopped(..)) => {
                    // SAFETY: no memory is touched. It returns once SIGCONT came, which then goes on to the command.
                    unsafe { libc::raise(libc::SIGSTOP) };
                }
                Ok(_) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("the command cannot be waited for"),
            }
        }
    }
}

/// Joins a cgroup by its open `cgroup.procs`, and enters a namespace; where that fails, a byte says to the parent that it
/// was not exec that failed.
fn join(procs: RawFd, netns: RawFd, failure: RawFd) -> io::Result<()> {
    // SAFETY: the descriptors are open, and the byte lives through the call.
    unsafe {
        if libc::write(procs, b"0".as_ptr().cast(), 1) == 1
            && (netns < 0 || libc::setns(netns, libc::CLONE_NEWNET) == 0)
        {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        libc::write(failure, b"!".as_ptr().cast(), 1);
        Err(error)
    }
}

fn refusal(error: io::Error, cgroup: &Path) -> anyhow::Error {
    let shown = cgroup.display();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => anyhow!(
            "the cgroup {shown} can hold no process: it, or one above it, is threaded; name another with --cgroup"
        ),
        Some(libc::EBUSY) => anyhow!(
            "the cgroup {shown} can hold no process: the one above it hands out controllers, so that only its leaves may; name \
             another with --cgroup"
        ),
        Some(libc::EACCES | libc::EPERM) => anyhow!(
            "no process may be moved into the cgroup {shown} from the one that pinif is in; run pinif as root, or within what is \
             delegated"
        ),
        _ => anyhow!(error).context(format!("the command cannot join the cgroup {shown}")),
    }
}
