//! Looking for the process that has a socket, beside the audit: the one that the hooks know may have given it away.
//!
//! A pre-forking server, inetd and systemd make sockets for others. To look costs a walk through `/proc`, so that all that
//! is asked for in the meantime is answered by one.

use std::time::Duration;

use pinif_ebpf::sighting::FindingKey;
use tokio::sync::mpsc;

use crate::findings::{
    enrich::{self, Suspect},
    process::Process,
};

/// How many questions one walk answers.
const MANY: usize = 4096;

/// Searches that are under way, and what came of them.
pub(super) struct Searches {
    questions: mpsc::UnboundedSender<(FindingKey, Suspect)>,
    answers: mpsc::UnboundedReceiver<(FindingKey, Option<Process>)>,
    pending: usize,
}

impl Searches {
    /// Starts a thread that searches for as long as this lives. Within a tokio runtime.
    pub(super) fn start() -> Self {
        let (questions, mut asked) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::task::spawn_blocking(move || {
            let mut some = Vec::new();
            while asked.blocking_recv_many(&mut some, MANY) > 0 {
                let (keys, suspects): (Vec<FindingKey>, Vec<Suspect>) = some.drain(..).unzip();
                for found in keys.into_iter().zip(enrich::holders(&suspects)) {
                    if answer.send(found).is_err() {
                        return;
                    }
                }
            }
        });
        Self {
            questions,
            answers,
            pending: 0,
        }
    }

    /// Asks for the process that has the socket of a finding.
    pub(super) fn ask(&mut self, key: FindingKey, suspect: Suspect) {
        if self.questions.send((key, suspect)).is_ok() {
            self.pending += 1;
        }
    }

    /// The next finding whose process is another than it was taken to be. It may be dropped at any time without losing
    /// one.
    pub(super) async fn next(&mut self) -> (FindingKey, Process) {
        loop {
            match self.answers.recv().await {
                Some((key, found)) => {
                    self.pending -= 1;
                    if let Some(process) = found {
                        return (key, process);
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// What is still to come, as far as it comes within `patience`.
    pub(super) async fn rest(&mut self, patience: Duration) -> Vec<(FindingKey, Process)> {
        let mut rest = Vec::new();
        let all = async {
            while self.pending > 0 {
                let Some((key, found)) = self.answers.recv().await else {
                    return;
                };
                self.pending -= 1;
                rest.extend(found.map(|process| (key, process)));
            }
        };
        // What does not come in time is reported as the hooks know it.
        let _ = tokio::time::timeout(patience, all).await;
        rest
    }
}
