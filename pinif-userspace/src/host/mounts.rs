//! That something was mounted or unmounted in this process's mount namespace.

use std::{fs::File, future, io, sync::Arc, time::Duration};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};

/// As what it is reported (proc(5), `mounts_poll` of fs/proc_namespace.c).
const MOUNTED: Interest = Interest::PRIORITY.add(Interest::ERROR);
/// After how long something may have been mounted where that cannot be waited for.
const BLIND: Duration = Duration::from_secs(60);

/// Says when. Each mount wakes whoever is registered for it, and container engines make many: so it is registered only while it is waited for.
pub(crate) struct Mounts {
    file: Arc<File>,
    registered: Option<AsyncFd<Arc<File>>>,
}

impl Mounts {
    /// From now on.
    ///
    /// # Errors
    ///
    /// Where /proc is not mounted.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(File::open("/proc/self/mountinfo")?),
            registered: None,
        })
    }

    /// Waits until something was mounted or unmounted since the last time. Within a tokio runtime. Safe to cancel; it stays registered then,
    /// until [`Self::rest`].
    pub async fn changed(&mut self) {
        if self.registered.is_none() {
            // SAFETY: the file owns its descriptor, and neither closes nor changes it before it is dropped.
            let file = unsafe { AsyncFd::register_with_interest(Arc::clone(&self.file), MOUNTED) };
            match file {
                // What was mounted meanwhile is reported at once.
                Ok(file) => self.registered = Some(file),
                Err(_) => return sleep(BLIND).await,
            }
        }
        if let Some(file) = &self.registered
            && file.ready(MOUNTED).await.is_err()
        {
            // The only error is a runtime that shuts down.
            future::pending().await
        }
        self.rest();
    }

    /// Lets no mount wake anybody until it is waited for again.
    pub fn rest(&mut self) {
        self.registered = None;
    }
}
