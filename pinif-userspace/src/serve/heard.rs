//! What the auditor said last, and when.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crate::control::protocol::Status;

/// What is older is not shown as if it were so.
pub const FRESH: Duration = Duration::from_secs(2);

/// What the auditor said last.
#[derive(Debug, Default)]
pub struct Heard(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    status: Option<(Status, Instant)>,
    last: Option<SystemTime>,
    /// Why there is none.
    absence: Option<String>,
}

impl Heard {
    /// It says how the audit stands.
    pub fn status(&self, status: Status) {
        let mut state = self.lock();
        state.status = Some((status, Instant::now()));
        state.last = Some(SystemTime::now());
        state.absence = None;
    }

    /// It is gone, for this reason. Returns whether it was there.
    pub fn gone(&self, why: &str) -> bool {
        let mut state = self.lock();
        state.absence = Some(why.to_owned());
        state.status.take().is_some()
    }

    /// How the audit stands, and how old that is. Nothing where it is not [`FRESH`].
    pub fn fresh(&self) -> Option<(Status, Duration)> {
        let state = self.lock();
        let (status, at) = state.status.as_ref()?;
        let age = at.elapsed();
        (age <= FRESH).then(|| (status.clone(), age))
    }

    /// How old what is shown is; nothing where nothing is.
    pub fn age(&self) -> Option<Duration> {
        let state = self.lock();
        let age = state.status.as_ref()?.1.elapsed();
        (age <= FRESH).then_some(age)
    }

    /// When the auditor said something last.
    pub fn last(&self) -> Option<SystemTime> {
        self.lock().last
    }

    /// Why there is no auditor.
    pub fn absence(&self) -> Option<String> {
        self.lock().absence.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
