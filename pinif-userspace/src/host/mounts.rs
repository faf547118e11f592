//! That something was mounted or unmounted in this process's mount namespace.

use std::{fs::File, future, io, path::Path, sync::Arc, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};

/// As what it is reported (proc(5), `mounts_poll` of fs/proc_namespace.c).
const MOUNTED: Interest = Interest::PRIORITY.add(Interest::ERROR);
/// After how long something may have been mounted where that cannot be waited for.
const BLIND: Duration = Duration::from_secs(60);

/// Says when. Each mount wakes whoever is registered for it, and container engines make many: so it is registered only while it is waited for.
///
/// The kernel reports a mount once for each open file, to whoever asks first. Where the file is registered, that is the registration itself,
/// which reports it to nobody (`ep_insert`, `ep_send_events`): what was mounted before is asked of another file.
pub(crate) struct Mounts {
    file: Arc<File>,
    registered: Option<AsyncFd<Arc<File>>>,
    before: File,
}

impl Mounts {
    /// From now on.
    ///
    /// # Errors
    ///
    /// Where /proc is not mounted.
    pub fn open() -> io::Result<Self> {
        Self::at(Path::new("/proc/self/mountinfo"))
    }

    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(File::open(path)?),
            registered: None,
            before: File::open(path)?,
        })
    }

    /// Waits until something was mounted or unmounted since the last [`Self::rest`], or the last time. Within a tokio runtime. Safe to cancel; it
    /// stays registered then, until [`Self::rest`].
    pub async fn changed(&mut self) {
        if self.registered.is_none() {
            // SAFETY: the file owns its descriptor, and neither closes nor changes it before it is dropped.
            let file = unsafe { AsyncFd::register_with_interest(Arc::clone(&self.file), MOUNTED) };
            match file {
                Ok(file) => self.registered = Some(file),
                Err(_) => return sleep(BLIND).await,
            }
        }
        if self.has_changed() {
            self.registered = None;
            return;
        }
        if let Some(file) = &self.registered
            && file.ready(MOUNTED).await.is_err()
        {
            // The only error is a runtime that shuts down.
            future::pending().await
        }
        self.rest();
    }

    /// Lets no mount wake anybody until it is waited for again. What was mounted so far is not reported: whoever calls it looks then.
    pub fn rest(&mut self) {
        self.registered = None;
        self.has_changed();
    }

    /// Whether something was mounted since this was asked last. Where the kernel does not say, it may have been.
    fn has_changed(&self) -> bool {
        let mut files = [PollFd::new(&self.before, PollFlags::PRI)];
        let at_once = Timespec::default();
        let asked = retry_on_intr(|| poll(&mut files, Some(&at_once)));
        let [file] = files;
        asked.is_err() || file.revents().intersects(PollFlags::PRI)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures::FutureExt as _;
    use nix::{
        mount::{MsFlags, mount, umount},
        sched::{CloneFlags, unshare},
    };

    use super::*;

    const NO: Option<&str> = None;

    /// In a mount namespace of its own, whose mounts nobody else sees.
    #[tokio::main(flavor = "current_thread")]
    async fn see(directory: &Path) {
        let mount_one = || mount(NO, directory, Some("tmpfs"), MsFlags::empty(), NO).expect("root");
        let mut mounts = Mounts::at(Path::new("/proc/thread-self/mountinfo")).expect("/proc");
        assert!(mounts.changed().now_or_never().is_none(), "none so far");
        let mounted = async { mount_one() };
        tokio::join!(mounts.changed(), mounted);
        assert!(mounts.changed().now_or_never().is_none(), "it was reported");
        mounts.rest();
        umount(directory).expect("it is mounted");
        let at_once = mounts.changed().now_or_never();
        at_once.expect("it was unmounted while nobody was registered");
        assert!(mounts.changed().now_or_never().is_none(), "it was reported");
        mount_one();
        mounts.rest();
        assert!(mounts.changed().now_or_never().is_none(), "it was seen");
    }

    #[test]
    fn what_was_mounted_before_it_is_waited_for_is_reported() {
        let directory = tempfile::tempdir().expect("a directory");
        thread::scope(|scope| {
            scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS).expect("root");
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(NO, "/", NO, private, NO).expect("root");
                see(directory.path());
            });
        });
    }
}
