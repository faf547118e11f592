//! An audit that several scenarios of a group share, each with a namespace of its own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};

use nix::sys::signal::Signal;

use super::auditor::{Orders, Started};
use super::group::in_words;
use super::report::Report;

/// A running auditor of several namespaces. It is ended once each scenario is done with it.
pub struct Share {
    orders: Orders,
    netns: Vec<String>,
    cgroup: PathBuf,
    /// The line that says that it is ready, or why it is not.
    ready: OnceLock<Result<String, String>>,
    state: Mutex<State>,
    has_ended: Condvar,
}

struct State {
    /// How many scenarios are not done with it.
    users: usize,
    auditor: Option<Started>,
    /// What it said, or why that is not known.
    report: Option<Result<Arc<Report>, String>>,
}

impl Share {
    /// One that is to be started.
    pub fn new(orders: Orders, netns: Vec<String>, cgroup: &Path) -> Self {
        Self {
            orders,
            cgroup: cgroup.to_owned(),
            ready: OnceLock::new(),
            state: Mutex::new(State {
                users: netns.len(),
                auditor: None,
                report: None,
            }),
            has_ended: Condvar::new(),
            netns,
        }
    }

    /// Starts it, if none of the scenarios has, and waits until it is ready. Gives the line that says so.
    pub fn ready(&self) -> &str {
        let ready = self.ready.get_or_init(|| {
            let start = || {
                self.orders
                    .start(self.netns.iter().map(String::as_str), &self.cgroup)
            };
            let started = catch_unwind(AssertUnwindSafe(start));
            let started = started.map_err(|panic| in_words(&*panic).to_owned())?;
            let ready = started.ready.clone();
            self.lock().auditor = Some(started);
            Ok(ready)
        });
        match ready {
            Ok(ready) => ready,
            Err(why) => panic!("the auditor that the scenario shares did not start: {why}"),
        }
    }

    /// The scenario is done with it. Waits until all others are, and gives what it said.
    pub fn report(&self) -> Arc<Report> {
        let mut state = self.leave();
        loop {
            match &state.report {
                Some(Ok(report)) => return Arc::clone(report),
                Some(Err(why)) => panic!("the auditor that the scenario shares failed: {why}"),
                None => {
                    state = self
                        .has_ended
                        .wait(state)
                        .expect("no thread panics with it")
                }
            }
        }
    }

    /// The scenario does not go on.
    pub fn abandon(&self) {
        drop(self.leave());
    }

    /// One scenario is done with it; the last of them ends it.
    fn leave(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.users -= 1;
        if state.users == 0
            && let Some(auditor) = state.auditor.take()
        {
            let report = catch_unwind(AssertUnwindSafe(|| {
                auditor.end(|pinif| pinif.signal(Signal::SIGTERM), BTreeMap::new())
            }));
            let report = report.map(Arc::new);
            state.report = Some(report.map_err(|panic| in_words(&*panic).to_owned()));
            self.has_ended.notify_all();
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }
}
