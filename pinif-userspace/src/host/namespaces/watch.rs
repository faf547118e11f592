//! When to look for namespaces again.
//!
//! A namespace lives while a process is in it or a mount leads to it; both have events, and nothing is polled. Mounts
//! (ip-netns(8), container engines) are reported by `/proc/self/mountinfo`: inotify on /run/netns would report the file,
//! which is there before the namespace is mounted on it and after it is unmounted. The end of a process is reported by its
//! pidfd. That a process has entered a namespace that nobody has mounted is reported by nothing, until it makes a socket:
//! then the cgroup hook does (`kernel/arrivals.rs`). Earlier than that, interfaces are moved to where they shall be, so that
//! every event of an interface is a reason to look.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::AbortHandle,
};

use super::{
    super::mounts::Mounts,
    census::{Census, namespace_of},
};

/// How long after a look the next one is put off, so that a thousand events are not a thousand looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How often to look although nothing was reported, while a process alone keeps a namespace: it may have left without
/// having ended (setns(2)).
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);

/// How long until the next look while what keeps a namespace cannot be waited for: a thread, before Linux 6.9.
const AGAIN: Duration = Duration::from_secs(10);

/// Says when to look again.
pub struct Watch {
    mounts: Mounts,
    /// Of the namespaces that a process alone keeps, that process and who waits for its end.
    keepers: BTreeMap<u64, (u32, AbortHandle)>,
    ended: mpsc::UnboundedReceiver<()>,
    end: mpsc::UnboundedSender<()>,
    looked: Instant,
    next: Option<Instant>,
}

impl Watch {
    /// Begins. The first look is due at once. Within a tokio runtime.
    ///
    /// # Errors
    /// Where /proc is not mounted.
    pub fn open() -> io::Result<Self> {
        let (end, ended) = mpsc::unbounded_channel();
        let now = Instant::now();
        Ok(Self {
            mounts: Mounts::open()?,
            keepers: BTreeMap::new(),
            ended,
            end,
            looked: now,
            next: Some(now),
        })
    }

    /// Waits until it is time to look. Safe to cancel.
    pub async fn due(&mut self) {
        loop {
            let rare = (!self.keepers.is_empty()).then(|| self.looked + AT_LEAST_EVERY);
            let next = self.next.or(rare);
            let time = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            if self.next.is_some() {
                // Whatever is mounted, it is looked.
                self.mounts.rest();
            }
            tokio::select! {
                () = time => return,
                () = self.mounts.changed(), if self.next.is_none() => self.soon(),
                Some(()) = self.ended.recv() => self.soon(),
            }
        }
    }

    /// Asks for a look.
    pub fn soon(&mut self) {
        let earliest = Instant::now().max(self.looked + PAUSE);
        self.next.get_or_insert(earliest);
    }

    /// Asks for a look without a pause, to go on with the last one.
    pub fn at_once(&mut self) {
        self.next = Some(Instant::now());
    }

    /// Says that a look begins.
    pub fn looks(&mut self) {
        self.looked = Instant::now();
        self.next = None;
    }

    /// Whether something keeps the namespace, as the census says. What it is is watched from now on.
    pub fn keeps(&mut self, inode: u64, census: &Census) -> bool {
        match census.only_process(inode) {
            // The end of a mount is reported anyway.
            Some(process) => self.wait_for(inode, process),
            None => self.forget(inode),
        }
        census.has(inode)
    }

    /// Watches no longer what keeps a namespace.
    pub fn forget(&mut self, inode: u64) {
        if let Some((_, waiting)) = self.keepers.remove(&inode) {
            waiting.abort();
        }
    }

    fn wait_for(&mut self, inode: u64, process: u32) {
        if self
            .keepers
            .get(&inode)
            .is_some_and(|(known, waiting)| *known == process && !waiting.is_finished())
        {
            return;
        }
        self.forget(inode);
        let end = self.end.clone();
        let waiting = tokio::spawn(async move {
            if let Err(error) = end_of(process, inode).await {
                log::debug!("task {process} cannot be waited for: {error}");
                tokio::time::sleep(AGAIN).await;
            }
            // Nobody listens any more when the audit is over.
            let _ = end.send(());
        });
        self.keepers
            .insert(inode, (process, waiting.abort_handle()));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (_, waiting) in self.keepers.values() {
            waiting.abort();
        }
    }
}

/// Ends when the process or thread does, or at once if it has ended or is not in the namespace.
async fn end_of(task: u32, inode: u64) -> io::Result<()> {
    let Some(pid) = i32::try_from(task).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    let of_thread = PidfdFlags::from_bits_retain(libc::PIDFD_THREAD);
    let open = |flags| pidfd_open(pid, PidfdFlags::NONBLOCK | flags);
    let descriptor = match open(PidfdFlags::empty()) {
        // It is a thread that leads no process, which older kernels let nobody wait for.
        Err(Errno::INVAL | Errno::NOENT) => open(of_thread),
        opened => opened,
    };
    let descriptor = match descriptor {
        // Since the census.
        Err(Errno::SRCH) => return Ok(()),
        opened => opened?,
    };
    // The number may have become another's since the census; not so any more.
    if namespace_of(task) != Some(inode) {
        return Ok(());
    }
    // SAFETY: the descriptor owns itself, and neither closes nor changes before it is dropped.
    let descriptor = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE)? };
    descriptor.readable().await?.retain_ready();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing else asks for a look: a namespace whose last process ends between the census and the wait for it would be
    /// audited for a minute more.
    #[tokio::test]
    async fn a_process_that_has_ended_is_not_waited_for() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        child.wait().expect("a child");
        let ended = end_of(child.id(), 1).await;
        assert!(ended.is_ok(), "{ended:?}");
    }

    /// A hook may have seen a thread in a namespace that its process is not in. Before Linux 6.9, it cannot be waited for.
    #[tokio::test]
    async fn a_thread_is_waited_for() {
        let (say, said) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let id = rustix::thread::gettid().as_raw_nonzero().get();
            say.send(u32::try_from(id).expect("positive"))
                .expect("it is read");
            // It ends when nobody can say anything any more.
            assert!(wait.recv().is_err());
        });
        let task = said.recv().expect("a thread");
        let inode = namespace_of(task).expect("a namespace");
        let waiting = tokio::spawn(end_of(task, inode));
        drop(go);
        thread.join().expect("it ends");
        let ended = waiting.await.expect("it ends");
        let of_thread = PidfdFlags::from_bits_retain(libc::PIDFD_THREAD);
        let can_be = pidfd_open(rustix::process::getpid(), of_thread).is_ok();
        assert_eq!(ended.is_ok(), can_be, "{ended:?}");
    }
}
