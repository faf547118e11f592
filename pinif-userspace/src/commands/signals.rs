//! Signals that must not take a command away from what it has to end itself (signal(7)).

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::signal::unix::{self, SignalKind, signal};

/// Signals that end a program which does not handle them, and that mean nothing to most programs: timers, user signals, a failing power
/// supply, input that is ready, and the realtime signals that glibc leaves to programs.
fn meaningless() -> impl Iterator<Item = libc::c_int> {
    [
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGPWR,
        libc::SIGSTKFLT,
    ]
    .into_iter()
    .chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

/// Signals that end nothing from now on, though the command has no use for them.
#[derive(Debug)]
pub struct Ignored(Vec<(libc::c_int, unix::Signal)>);

impl Ignored {
    /// Ignores them, but for those that the command has a use for. Within a tokio runtime; it is for good, also when this is
    /// dropped.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn but(used: &[SignalKind]) -> Result<Self> {
        // A file may have its largest size (RLIMIT_FSIZE): the stream reports that its write failed.
        let _caught = catch(libc::SIGXFSZ)?;
        let unused = meaningless().filter(|number| {
            let kind = SignalKind::from_raw(*number);
            !used.contains(&kind)
        });
        let caught = unused.map(|number| Ok((number, catch(number)?)));
        caught.collect::<Result<_>>().map(Self)
    }

    /// Calls `report` once for each signal that comes, with its name.
    pub fn report(self, report: impl Fn(String) + Clone + Send + 'static) {
        for (number, mut signal) in self.0 {
            let report = report.clone();
            tokio::spawn(async move {
                if signal.recv().await.is_some() {
                    report(name(number));
                }
            });
        }
    }
}

fn catch(number: libc::c_int) -> Result<unix::Signal> {
    signal(SignalKind::from_raw(number))
        .with_context(|| format!("{} cannot be handled", name(number)))
}

/// What a signal is called, as kill(1) takes it.
fn name(number: libc::c_int) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("SIGRTMIN+{}", number - libc::SIGRTMIN()),
    }
}

/// Signals that come while this exists are delivered when it is dropped: what is done in several steps is done as a whole.
#[derive(Debug)]
pub struct Held(Option<SigSet>);

impl Held {
    /// From now on, in this thread.
    pub fn new() -> Self {
        Self(SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_that_kill_takes() {
        assert_eq!(name(libc::SIGUSR2), "SIGUSR2");
        assert_eq!(name(libc::SIGIO), "SIGIO");
        assert_eq!(name(libc::SIGRTMIN() + 3), "SIGRTMIN+3");
    }

    #[test]
    fn what_ends_a_program_is_handled_by_name_or_left_to_it() {
        let left = [
            // No program can.
            libc::SIGKILL,
            libc::SIGSTOP,
            // An audit ends by them.
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGQUIT,
            libc::SIGXCPU,
            // It reads its policy again.
            libc::SIGHUP,
            // Rust ignores it, and a write fails.
            libc::SIGPIPE,
            libc::SIGXFSZ,
            // A mistake of its own, or a seccomp filter.
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGSEGV,
            libc::SIGSYS,
            // They stop it and let it go on, or do nothing.
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
            libc::SIGCONT,
            libc::SIGCHLD,
            libc::SIGURG,
            libc::SIGWINCH,
        ];
        let meaningless: Vec<_> = meaningless().collect();
        for number in (1..32).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
            assert!(
                left.contains(&number) != meaningless.contains(&number),
                "{}",
                name(number)
            );
        }
    }
}
