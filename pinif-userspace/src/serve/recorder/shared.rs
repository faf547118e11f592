//! What the recorder and its thread share: what is to be written, and how it stands.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::Notify;

use crate::history::Batch;

/// What somebody would miss is written so long after the last time: a state, a new finding, ten times as many packets, an end.
pub(super) const URGENT: Duration = Duration::from_secs(1);
/// What only goes on to grow is written so often: memory cards bear so many writes, and what a crash loses of it the auditor still has.
const GROWTH: Duration = Duration::from_secs(30);

/// How it stands with the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it cannot be written; nothing where it can.
    pub failure: Option<String>,
    /// When it was written last.
    pub written: Option<SystemTime>,
    /// How many findings were lost, since they waited for too long.
    pub lost: u64,
    /// How many findings were removed, since they were too old or there was no room.
    pub removed: u64,
}

/// What they share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where the history is.
    pub(super) path: PathBuf,
    /// The boot's UUID.
    pub(super) boot: String,
    /// What changes.
    pub(super) state: Mutex<State>,
    /// There is something to do.
    pub(super) changed: Condvar,
    /// Nothing is being written any more.
    pub(super) idle: Condvar,
    /// Something was written.
    pub(super) written: Notify,
    /// Another file is written than before: what is in none of the two is only what the auditor has.
    pub(super) is_anew: AtomicBool,
}

/// What changes of it.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What is to be written, a run of an audit after the other. The last is that which is heard now.
    pub(super) waiting: VecDeque<Batch>,
    /// It is written within [`URGENT`], and not within [`GROWTH`].
    pub(super) is_urgent: bool,
    /// Something is being written.
    pub(super) is_writing: bool,
    /// Since when something waits.
    pub(super) since: Option<Instant>,
    /// Nothing more comes.
    pub(super) ends: bool,
    /// How it stands.
    pub(super) standing: Standing,
}

impl Shared {
    /// Nothing waits yet.
    pub(super) fn new(path: &Path, boot: String) -> Self {
        Self {
            path: path.to_owned(),
            boot,
            state: Mutex::default(),
            changed: Condvar::new(),
            idle: Condvar::new(),
            written: Notify::new(),
            is_anew: AtomicBool::new(false),
        }
    }

    /// Whatever a thread that panicked has left.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets what has changed be looked at, where it is to be before its time.
    pub(super) fn wake(&self, mut state: MutexGuard<'_, State>) {
        let is_first = state.since.is_none();
        state.since.get_or_insert_with(Instant::now);
        let is_urgent = state.is_urgent;
        drop(state);
        if is_urgent || is_first {
            self.changed.notify_all();
        }
    }
}

impl State {
    /// How long to wait before what there is, is written; nothing where there is nothing, or it is to be written now.
    pub(super) fn wait(&self, last: Instant, now: Instant) -> Option<Duration> {
        if self.ends || self.waiting.is_empty() {
            return None;
        }
        let due = if self.is_urgent {
            last + URGENT
        } else {
            self.since.map_or(last, |since| since.max(last)) + GROWTH
        };
        Some(due.saturating_duration_since(now))
    }
}
