//! Signals of a command that is run: what is sent to pinif goes on to it.

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, process};

use anyhow::{Context as _, Result};
use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Signals that pinif takes as they come: those that a fault of its own raises, and those that stop it at its terminal, which
/// the command, in the same process group, gets as well.
const OWN: [libc::c_int; 12] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGILL,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGPIPE,
];

/// Signals that do not end a process by default, and SIGTSTP, which stops.
const HARMLESS: [libc::c_int; 5] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGTSTP,
];

/// Blocked signals, read one by one (signalfd(2)).
pub struct Signals {
    descriptor: OwnedFd,
    before: libc::sigset_t,
}

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// Its number.
    pub number: libc::c_int,
    /// Whether a process sent it to pinif, so that the command did not get it: the terminal sends to all of its foreground
    /// process group. What pinif's own writing raises (SIGXFSZ) is none of the command's business.
    pub sent: bool,
}

impl Signals {
    /// Blocks all signals that are to go on, in this thread and those that it makes.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn block() -> Result<Self> {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the sets are written before they are read, each by the call that is given it.
        let (descriptor, before) = unsafe {
            libc::sigfillset(set.as_mut_ptr());
            for signal in OWN {
                libc::sigdelset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            let descriptor = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC);
            (descriptor, before.assume_init())
        };
        if descriptor < 0 {
            return Err(io::Error::last_os_error()).context("signals cannot be read");
        }
        Ok(Self {
            // SAFETY: the call just made this descriptor, and nothing else has it.
            descriptor: unsafe { std::os::fd::FromRawFd::from_raw_fd(descriptor) },
            before,
        })
    }

    /// What was blocked before, for the command to begin with.
    pub fn before(&self) -> libc::sigset_t {
        self.before
    }

    /// Waits for the next one.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn next(&self) -> Result<Signal> {
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        loop {
            match rustix::io::read(&self.descriptor, &mut bytes) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("signals cannot be read"),
            }
        }
        // ssi_signo, ssi_errno, ssi_code, ssi_pid: the first members of signalfd_siginfo.
        let word = |at: usize| {
            i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Ok(Signal {
            number: word(0),
            // SI_USER, SI_QUEUE, SI_TKILL and their like are not above zero; the kernel's own are.
            sent: word(8) <= 0 && word(12).cast_unsigned() != process::id(),
        })
    }

    /// A signal that came already and would have ended pinif, had it not been blocked.
    pub fn fatal(&self) -> Result<Option<libc::c_int>> {
        while self.is_pending() {
            let signal = self.next()?.number;
            if !HARMLESS.contains(&signal) {
                return Ok(Some(signal));
            }
        }
        Ok(None)
    }

    fn is_pending(&self) -> bool {
        let mut streams = [PollFd::new(&self.descriptor, PollFlags::IN)];
        poll(&mut streams, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// Ends this process by a signal that ended the command, so that whoever waits for it sees the same. The exit status of
/// a shell, where the signal does not end it.
pub fn end_by(signal: libc::c_int) -> u8 {
    let mut set = MaybeUninit::uninit();
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the set is written before it is read; nothing of this process is needed any more.
    unsafe {
        // The command has left its core, if any.
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::signal(signal, libc::SIG_DFL);
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut());
        libc::kill(process::id().cast_signed(), signal);
    }
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
