//! The thread that writes.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use super::shared::{Shared, URGENT};
use crate::{
    history::{Batch, Now, Retention, Store, StoreError, Written},
    kernel::clock::since_boot,
    serve::report::Reporter,
    surfaces::Level,
    text::{age::ago, words::counted},
};

/// How many findings wait where the history cannot be written.
pub(super) const MOST: usize = 20_000;

/// The thread.
pub(super) struct Writer {
    /// What it writes.
    pub(super) shared: Arc<Shared>,
    /// How much is kept.
    pub(super) retention: Retention,
    /// Where it says what somebody has to do something about.
    pub(super) reporter: Arc<Reporter>,
    /// None until it can be opened.
    pub(super) store: Option<Store>,
}

impl Writer {
    /// Writes until the end has come.
    pub(super) fn run(mut self) {
        let mut last = Instant::now()
            .checked_sub(URGENT)
            .unwrap_or_else(Instant::now);
        while let Some(batches) = self.next(last) {
            self.write_all(batches);
            if let Some(store) = &self.store {
                store.settle();
            }
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
        let moved = self.store.take_if(|store| !store.is_in_place());
        if moved.is_some() {
            let text = format!(
                "{} was moved away or replaced: what is found from now on is kept in what is there, or in a new file",
                self.shared.path.display()
            );
            self.reporter.note(Level::Warning, &text);
        }
        let store = match &mut self.store {
            Some(store) => store,
            None => {
                // It has nothing of what the one before has, and the auditor has found.
                self.shared.is_anew.store(true, Ordering::Relaxed);
                let store = match moved {
                    Some(moved) => moved.reopen()?,
                    None => Store::open(&self.shared.path, self.retention)?,
                };
                self.store.insert(store)
            }
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

    /// Says why it cannot be written, once.
    pub(super) fn failed(&self, error: &StoreError) {
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
    pub(super) fn put_back(&self, mut batches: VecDeque<Batch>) {
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
