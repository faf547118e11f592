//! What the auditor says goes into the history: on a thread of its own, so that nobody waits for a disk.

mod shared;
mod writer;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

pub use self::shared::Standing;
use self::{
    shared::{Shared, State},
    writer::Writer,
};
use super::report::Reporter;
use crate::{
    findings::line::FindingLine,
    history::{AuditRecord, Batch, Retention, Store, StoreError},
};

/// How long whoever reads the history waits for what is to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who keeps the history.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let shared = Arc::new(Shared::new(path, boot));
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

    /// Whether all that the auditor has found is wanted once more, since the file was moved away or replaced. It is asked for once.
    pub fn wants_all(&self) -> bool {
        self.shared.is_anew.swap(false, Ordering::Relaxed)
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

#[cfg(test)]
mod tests;
