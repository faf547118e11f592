//! What the auditor said last, and when.

use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    control::{ClientError, protocol::Status},
    history::Machine,
    text::escape::visible,
};

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
    absence: Option<Absence>,
}

/// The machine that an auditor says it is on.
pub fn machine(status: &Status) -> Machine {
    Machine {
        host: status.host.clone(),
        labels: status.labels.clone(),
        version: status.version.clone(),
    }
}

/// Why no auditor is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Why, in a sentence without its end.
    pub why: String,
    /// What to do.
    pub fix: Cow<'static, str>,
}

/// What to do where an auditor has ended, or none has begun.
pub const START_IT: &str = "look at `systemctl status pinif`, and start it";
/// What to do where one is there, and says nothing.
pub const HANGS: &str = "it hangs, or is stopped: look at `systemctl status pinif`; its watchdog starts it again within 30 seconds";

impl Absence {
    /// That the audit has ended.
    pub fn ended() -> Self {
        let why = "the audit has ended".to_owned();
        Self {
            why,
            fix: START_IT.into(),
        }
    }

    /// That the auditor is there, and does not answer.
    pub fn silent(why: &str) -> Self {
        let why = why.to_owned();
        Self {
            why,
            fix: HANGS.into(),
        }
    }
}

impl From<&ClientError> for Absence {
    fn from(error: &ClientError) -> Self {
        let fix = match error {
            ClientError::NoneRuns | ClientError::NotThere(_) | ClientError::Lost { .. } => START_IT,
            ClientError::Silent(_) => HANGS,
            // It says what helps: it may be about to start, or have too many readers.
            ClientError::Refused { problem, .. } => {
                return Self {
                    why: visible(&problem.error).into_owned(),
                    fix: visible(&problem.fix).into_owned().into(),
                };
            }
            ClientError::Several(_) => {
                "choose one: `pinif serve --socket PATH`, or `socket` below [serve] in /etc/pinif/pinif.toml"
            }
            ClientError::Denied(_) => "start `pinif serve` as a user of the group that may ask it",
            ClientError::Strange { .. } => {
                "have `pinif serve` and the auditor of the same version, and start both again"
            }
        };
        Self {
            why: error.to_string(),
            fix: fix.into(),
        }
    }
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
    pub fn gone(&self, absence: Absence) -> bool {
        let mut state = self.lock();
        state.absence = Some(absence);
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

    /// Whether an auditor is there that says nothing: none waits for its answer.
    pub fn hangs(&self) -> bool {
        let state = self.lock();
        match (&state.status, &state.absence) {
            (Some((_, at)), _) => at.elapsed() > FRESH,
            (None, Some(absence)) => absence.fix == HANGS,
            (None, None) => false,
        }
    }

    /// When the auditor said something last.
    pub fn last(&self) -> Option<SystemTime> {
        self.lock().last
    }

    /// Why there is no auditor.
    pub fn absence(&self) -> Option<Absence> {
        self.lock().absence.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
