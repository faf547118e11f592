//! Calls, one after the other, at most one a second.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    call::{Outcome, Program},
    environment::variables,
    queue::{Queue, Waiting},
};
use crate::{
    control::protocol::Status,
    findings::line::FindingLine,
    history::{Change, Machine},
    serve::{heard::machine, report::Reporter},
    surfaces::Level,
    text::words::counted,
};

/// How long after the beginning of a call the next one begins, at least.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the end waits for a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has the operator's program be called.
#[derive(Debug)]
pub struct Hook {
    program: Program,
    state: Mutex<State>,
    new: Notify,
    reporter: Arc<Reporter>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    machine: Machine,
    calls: [u64; Outcome::NAMES.len()],
    /// Why the last call failed.
    failure: Option<String>,
}

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many calls there were, by how they ended.
    pub calls: Vec<(&'static str, u64)>,
    /// How many transitions had no call of their own.
    pub coalesced: u64,
    /// How many transitions no call has named.
    pub lost: u64,
    /// How many findings wait.
    pub waiting: u64,
}

impl Hook {
    /// For this program.
    pub fn new(program: Program, reporter: Arc<Reporter>) -> Self {
        Self {
            program,
            state: Mutex::default(),
            new: Notify::new(),
            reporter,
        }
    }

    /// Takes in what an auditor says of its machine.
    pub fn status(&self, status: &Status) {
        self.lock().machine = machine(status);
    }

    /// Takes in what became of a finding.
    pub fn finding(&self, finding: &FindingLine, changes: &[Change]) {
        let mut state = self.lock();
        let is_first = state.queue.lost() == 0;
        state.queue.put(finding, changes);
        let is_lost = is_first && state.queue.lost() > 0;
        drop(state);
        if is_lost {
            let text = format!(
                "more findings wait for a call of {} than there is room for: the least grave are not called for, and counted",
                self.program.shown()
            );
            self.reporter.note(Level::Error, &text);
        }
        self.new.notify_one();
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let state = self.lock();
        Standing {
            calls: Outcome::NAMES.into_iter().zip(state.calls).collect(),
            coalesced: state.queue.coalesced(),
            lost: state.queue.lost(),
            waiting: state.queue.len() as u64,
        }
    }

    /// Calls until it is stopped. Within a tokio runtime.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut earliest = Instant::now();
        while !*stopped.borrow_and_update() {
            tokio::select! {
                _ = stopped.changed() => break,
                () = sleep_until(earliest) => {}
            }
            let Some((waiting, machine)) = self.next() else {
                tokio::select! {
                    _ = stopped.changed() => break,
                    () = self.new.notified() => continue,
                }
            };
            earliest = Instant::now() + INTERVAL;
            let call = self.program.call(variables(&waiting, &machine));
            tokio::pin!(call);
            let outcome = tokio::select! {
                outcome = &mut call => Some(outcome),
                _ = stopped.changed() => timeout(PATIENCE, &mut call).await.ok(),
            };
            match outcome {
                Some(outcome) => self.ended(&outcome),
                None => {
                    let text = format!(
                        "{} is killed: pinif serve ends, and waits {} s for a call",
                        self.program.shown(),
                        PATIENCE.as_secs()
                    );
                    self.reporter.note(Level::Warning, &text);
                }
            }
        }
        let left = self.lock().queue.give_up();
        if left > 0 {
            let text = format!(
                "{} of findings had no call of {} yet; those that are open have one when pinif serve hears of them again",
                counted(left, "transition"),
                self.program.shown()
            );
            self.reporter.note(Level::Warning, &text);
        }
    }

    fn next(&self) -> Option<(Waiting, Machine)> {
        let mut state = self.lock();
        let next = state.queue.next()?;
        Some((next, state.machine.clone()))
    }

    /// Counts a call, and says what is wrong when it begins to be, and when it ends.
    fn ended(&self, outcome: &Outcome) {
        let failure = outcome.failure();
        let mut state = self.lock();
        state.calls[outcome.number()] += 1;
        let before = std::mem::replace(&mut state.failure, failure.clone());
        drop(state);
        let program = self.program.shown();
        match failure {
            Some(failure) if before.as_ref() != Some(&failure) => {
                let text =
                    format!("{program} {failure}: what it was called for is not called for again");
                self.reporter.note(Level::Error, &text);
            }
            None if before.is_some() => {
                self.reporter
                    .note(Level::Info, &format!("{program} succeeds again"));
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
