//! The thread that foresees, beside the audit.

use anyhow::Result;
use tokio::task::JoinHandle;

use super::foresight::Foresight;
use crate::{foresee, host::netns::NetNs};

/// The thread that foresees.
#[derive(Debug, Default)]
pub(super) struct Foreseer(pub(super) Option<JoinHandle<Vec<Outcome>>>);

/// What came of one namespace.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) netns: NetNs,
    pub(super) foreseen: Result<Vec<foresee::Foreseen>>,
}

/// What is to be done.
pub(super) enum Step {
    /// Some networks are to be looked at.
    Look,
    /// They were.
    Report(Vec<Outcome>),
}

impl Foreseer {
    /// The next step. It may be dropped at any time without losing one.
    pub(super) async fn next(&mut self, foresight: &Foresight) -> Step {
        if let Some(task) = &mut self.0 {
            let outcome = task.await;
            self.0 = None;
            // It ends early only with the runtime, or by a panic, which was reported.
            return Step::Report(outcome.unwrap_or_default());
        }
        match foresight.due() {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
        Step::Look
    }
}
