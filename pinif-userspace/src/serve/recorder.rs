//! What the auditor says goes into the history: on a thread of its own, so that nobody waits for a disk.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::Notify;

use super::report::Reporter;
use crate::{
    findings::line::FindingLine,
    history::{AuditRecord, Batch, Now, Retention, Store, StoreError, Written},
    kernel::clock::since_boot,
    surfaces::Level,
    text::{age::ago, words::counted},
};

/// What somebody would miss is written so long after the last time: a state, a new finding, ten times as many packets, an end.
const URGENT: Duration = Duration::from_secs(1);
/// What only goes on to grow is written so often: memory cards bear so many writes, and what a crash loses of it the auditor still has.
const GROWTH: Duration = Duration::from_secs(30);
/// How long whoever reads the history waits for what is to be written.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many findings wait where the history cannot be written.
const MOST: usize = 20_000;

/// Who keeps the history.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

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

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    boot: String,
    state: Mutex<State>,
    changed: Condvar,
    /// Nothing is being written any more.
    idle: Condvar,
    /// Something was written.
    written: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be written, a run of an audit after the other. The last is that which is heard now.
    waiting: VecDeque<Batch>,
    is_urgent: bool,
    is_writing: bool,
    /// Since when something waits.
    since: Option<Instant>,
    ends: bool,
    standing: Standing,
}

impl Recorder {
    /// Begins with a store that is open, or is still to be opened since its disk is full.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(
        path: &Path,
        retention: Retention,
        store: Result<Store, StoreError>,
        boot: String,
        reporter: Arc<Reporter>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            boot,
            state: Mutex::default(),
            changed: Condvar::new(),
            idle: Condvar::new(),
            written: Notify::new(),
        });
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            retention,
            reporter,
            store: None,
        };
        match store {
            Ok(store) => writer.store = Some(store),
            Err(error) => writer.failed(&error),
        }
        let thread = thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where the history is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// How it stands with it.
    pub fn standing(&self) -> Standing {
        self.shared.lock().standing.clone()
    }

    /// Waits until something was written that was not when it was last waited for. One may wait.
    pub async fn written(&self) {
        self.shared.written.notified().await;
    }

    /// Takes in how the audit stands that is heard.
    pub fn audit(&self, audit: AuditRecord) {
        let mut state = self.shared.lock();
        match state.waiting.back_mut() {
            Some(batch) if batch.audit.is_run_of(&audit) => batch.audit = audit,
            _ => state.waiting.push_back(Batch::new(audit)),
        }
        state.is_urgent |= state.waiting.back().is_some_and(|batch| batch.audit.ended);
        self.shared.wake(state);
    }

    /// Takes in a finding of it.
    pub fn finding(&self, audit: &AuditRecord, finding: FindingLine, is_urgent: bool) {
        let mut state = self.shared.lock();
        match state.waiting.back_mut() {
            Some(batch) if batch.audit.is_run_of(audit) => batch.take(finding),
            _ => {
                let mut batch = Batch::new(audit.clone());
                batch.take(finding);
                state.waiting.push_back(batch);
            }
        }
        state.is_urgent |= is_urgent;
        self.shared.wake(state);
    }

    /// Has what waits be written now.
    pub fn hurry(&self) {
        let mut state = self.shared.lock();
        state.is_urgent |= !state.waiting.is_empty();
        self.shared.wake(state);
    }

    /// Has what waits be written, and waits for that: what is read of the history then is what was heard. Not where it cannot be written.
    pub fn settle(&self) {
        self.hurry();
        let state = self.shared.lock();
        let is_busy = |state: &mut State| {
            let is_to_be = state.is_writing || !state.waiting.is_empty();
            is_to_be && state.standing.failure.is_none()
        };
        // Whoever waited for long enough reads what there is.
        let _ = self
            .shared
            .idle
            .wait_timeout_while(state, PATIENCE, is_busy);
    }

    /// Writes what there is, and ends, whoever still reads.
    pub fn end(&self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_all();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // It does not panic, so there is nothing to learn.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
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
    fn wait(&self, last: Instant, now: Instant) -> Option<Duration> {
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

/// The thread.
struct Writer {
    shared: Arc<Shared>,
    retention: Retention,
    reporter: Arc<Reporter>,
    /// None until it can be opened.
    store: Option<Store>,
}

impl Writer {
    fn run(mut self) {
        let mut last = Instant::now()
            .checked_sub(URGENT)
            .unwrap_or_else(Instant::now);
        while let Some(batches) = self.next(last) {
            self.write_all(batches);
            last = Instant::now();
            self.shared.lock().is_writing = false;
            self.shared.idle.notify_all();
        }
    }

    /// Waits for what is to be written; none, once all is written and the end has come.
    fn next(&self, last: Instant) -> Option<VecDeque<Batch>> {
        let mut state = self.shared.lock();
        loop {
            state = match state.wait(last, Instant::now()) {
                Some(Duration::ZERO) => break,
                Some(time) => {
                    let waited = self.shared.changed.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None if state.ends => break,
                None => {
                    let waited = self.shared.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        state.is_urgent = false;
        state.since = None;
        let batches = std::mem::take(&mut state.waiting);
        state.is_writing = true;
        (!batches.is_empty()).then_some(batches)
    }

    /// Writes what it can, the earliest first, and puts the rest back.
    fn write_all(&mut self, mut batches: VecDeque<Batch>) {
        while let Some(batch) = batches.front() {
            match self.write(batch) {
                Ok(written) => {
                    self.succeeded(written);
                    batches.pop_front();
                }
                Err(error) => {
                    self.failed(&error);
                    self.put_back(batches);
                    return;
                }
            }
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, StoreError> {
        let now = Now {
            wall: SystemTime::now(),
            since_boot: since_boot(),
            boot: self.shared.boot.clone(),
        };
        if self.store.take_if(|store| !store.is_in_place()).is_some() {
            let text = format!(
                "{} was moved away or replaced: what is found from now on is kept in what is there, or in a new file",
                self.shared.path.display()
            );
            self.reporter.note(Level::Warning, &text);
        }
        let store = match &mut self.store {
            Some(store) => store,
            None => self
                .store
                .insert(Store::open(&self.shared.path, self.retention)?),
        };
        store.write(batch, &now)
    }

    fn succeeded(&mut self, written: Written) {
        let failure = {
            let mut state = self.shared.lock();
            state.standing.written = Some(SystemTime::now());
            state.standing.removed += written.removed;
            state.standing.failure.take()
        };
        self.shared.written.notify_one();
        if failure.is_some() {
            self.reporter
                .note(Level::Info, "the history is written again");
        }
        if let Some(by) = written.clock_set {
            let far = ago(Duration::from_micros(by.unsigned_abs()));
            let way = if by > 0 { "forward" } else { "back" };
            let text = format!(
                "the clock was set {way} by {far}: the history's times before and after differ by that, and nothing is removed for it"
            );
            self.reporter.note(Level::Warning, &text);
        }
    }

    fn failed(&self, error: &StoreError) {
        let text = error.to_string();
        let is_new = {
            let mut state = self.shared.lock();
            let before = state.standing.failure.replace(text.clone());
            before.as_deref() != Some(&*text)
        };
        if is_new {
            let text = format!(
                "{text}. The audit goes on, and what is found waits here until it can be written"
            );
            self.reporter.note(Level::Error, &text);
        }
    }

    /// Puts what could not be written before what has come since; the earliest is lost where that is too much.
    fn put_back(&self, mut batches: VecDeque<Batch>) {
        let mut state = self.shared.lock();
        let ends = state.ends;
        if let (Some(first), Some(last)) = (state.waiting.front_mut(), batches.back())
            && first.audit.is_run_of(&last.audit)
            && let Some(earlier) = batches.pop_back()
        {
            first.put_below(earlier);
        }
        for batch in batches.into_iter().rev() {
            state.waiting.push_front(batch);
        }
        let mut all: usize = state.waiting.iter().map(|batch| batch.findings.len()).sum();
        let mut lost = 0;
        while (all > MOST || state.waiting.len() > MOST) && state.waiting.len() > 1 {
            let gone = state.waiting.pop_front();
            let gone = gone.map_or(0, |batch| batch.findings.len());
            all -= gone;
            lost += gone as u64;
        }
        if ends {
            // Nobody waits for a disk.
            lost += all as u64;
            state.waiting.clear();
        }
        state.standing.lost += lost;
        state.since.get_or_insert_with(Instant::now);
        // It is tried again soon, be it only to learn that there is room.
        state.is_urgent = true;
        drop(state);
        if lost > 0 {
            let text = format!(
                "{} could not be written to the history, and {} lost to it",
                counted(lost, "finding"),
                if lost == 1 { "is" } else { "are" }
            );
            self.reporter.note(Level::Error, &text);
        }
    }
}

#[cfg(test)]
mod tests;
