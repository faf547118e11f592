//! What the hub has, as it is said over the control socket.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use super::protocol::{
    AttachmentCheck, CaptureStatus, CheckedBy, EventLine, FindingCount, FindingsPage, ForeseenNow,
    Incomplete, InterfaceStatus, MatrixNow, NoticeLine, PolicyNow, PolicySource, PolicyStatus,
    Reader, Status,
};
use crate::{
    capture::{CaptureState, Stop},
    findings::{
        finding::Finding,
        latent::Holding,
        line::{Lost, Uncounted},
        listed::{Listed, Page},
        query::Query,
        summary::Totals,
        wall_time::WallTime,
    },
    hub::{Event, Notice, Snapshot, snapshot::PolicyState},
};

/// The words of a notice, which are a surface's.
pub type Words = fn(&Notice) -> Vec<NoticeLine>;

/// All metrics of a snapshot, and of what type they are, as the reader accepts it (`Accept`). Without a snapshot, that no auditor is ready.
pub type Metrics = fn(Option<&Arc<Snapshot>>, &str) -> (&'static str, String);

impl Status {
    /// Of a snapshot, while these ask.
    pub fn of(snapshot: &Snapshot, readers: Vec<Reader>) -> Self {
        let PolicyState { described, .. } = &snapshot.policy;
        let identity = &snapshot.identity;
        let losses = snapshot.losses.iter();
        let findings = snapshot.findings.iter().rev();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            run: identity.run.clone(),
            boot: identity.boot.clone(),
            host: identity.host.clone(),
            labels: identity.labels.clone(),
            seq: snapshot.seq,
            time: time_text(snapshot.time),
            started: time_text(snapshot.started),
            started_monotonic_ns: u64::try_from(snapshot.counts_began.as_nanos())
                .unwrap_or(u64::MAX),
            attach: snapshot.attach,
            attachment_check: AttachmentCheck {
                by: if snapshot.unreported.is_empty() {
                    CheckedBy::Event
                } else {
                    CheckedBy::Timer
                },
                because: snapshot.unreported.clone(),
            },
            enforces: snapshot.enforces,
            incomplete: incomplete(snapshot),
            policy: PolicyStatus {
                source: source(&snapshot.policy),
                zones: described.zones.len(),
                rules: described.rules.len(),
            },
            interfaces: snapshot
                .interfaces
                .iter()
                .map(|interface| InterfaceStatus {
                    netns: interface.netns.clone(),
                    name: interface.name.clone(),
                    refused: interface.refused.clone(),
                })
                .collect(),
            totals: totals(snapshot),
            uncounted: losses
                .map(|(loss, lost)| (loss.name().to_owned(), *lost))
                .collect(),
            capture: snapshot.capture.as_ref().map(CaptureStatus::from),
            findings: findings
                .map(|(&(severity, kind, state), &number)| FindingCount {
                    severity,
                    kind,
                    state,
                    number,
                })
                .collect(),
            worst: snapshot.worst.iter().map(Listed::line).collect(),
            readers,
        }
    }
}

impl From<&CaptureState> for CaptureStatus {
    fn from(state: &CaptureState) -> Self {
        let stopped = state.stopped.as_ref().map(|stop| match stop {
            Stop::Full => "it is as large as it may be (--capture-size)".to_owned(),
            Stop::Failed(error) => error.clone(),
        });
        Self {
            file: state.path.clone(),
            packets: state.packets,
            bytes: state.bytes,
            not_captured: state.not_captured,
            stopped,
        }
    }
}

fn incomplete(snapshot: &Snapshot) -> Vec<Incomplete> {
    let mut interfaces = snapshot.interfaces.iter();
    let all = [
        (Incomplete::Starting, !snapshot.is_ready),
        (
            Incomplete::InterfaceRefused,
            interfaces.any(|interface| interface.refused.is_some()),
        ),
        (Incomplete::ReloadFailed, snapshot.policy.failure.is_some()),
        (Incomplete::NotCounted, snapshot.loses_counts()),
    ];
    let there = all.into_iter().filter(|(_, is_so)| *is_so);
    there.map(|(what, _)| what).collect()
}

/// As JSON has it.
fn time_text(time: SystemTime) -> String {
    WallTime::from(time).to_string()
}

fn totals(snapshot: &Snapshot) -> Totals {
    Totals::of(snapshot.matrix.iter().map(|graded| &graded.cell))
}

fn source(policy: &PolicyState) -> PolicySource {
    let file = policy.file.as_ref();
    PolicySource {
        path: file.map(|file| file.path.clone()),
        digest: file.map(|file| file.digest.clone()),
        loaded: time_text(policy.loaded),
        failure: policy.failure.clone(),
    }
}

impl From<&Snapshot> for MatrixNow {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            seq: snapshot.seq,
            time: time_text(snapshot.time),
            started: time_text(snapshot.started),
            totals: totals(snapshot),
            matrix: snapshot.matrix.clone(),
        }
    }
}

impl From<&Snapshot> for PolicyNow {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            source: source(&snapshot.policy),
            described: snapshot.policy.described.clone(),
        }
    }
}

impl From<&Page> for FindingsPage {
    fn from(page: &Page) -> Self {
        Self {
            total: page.total,
            next: page.next,
            findings: page.findings.iter().map(Listed::line).collect(),
        }
    }
}

impl From<Option<&Holding>> for ForeseenNow {
    fn from(holding: Option<&Holding>) -> Self {
        let first = holding.iter().flat_map(|holding| &holding.first);
        Self {
            foresees: holding.is_some(),
            total: holding.map_or(0, |holding| holding.total),
            findings: first.map(Into::into).collect(),
        }
    }
}

/// The line of a finding.
pub fn of_finding(finding: &Finding) -> EventLine<'static> {
    EventLine::Finding(Box::new(finding.into()))
}

/// The lines of an event: of a finding, only where it is asked for.
pub fn lines<'a>(event: &'a Event, query: &Query, words: Words) -> Vec<EventLine<'a>> {
    match event {
        Event::Ready(ready) => vec![EventLine::Ready(Cow::Borrowed(ready))],
        Event::Finding(finding, _) if query.takes(finding) => vec![of_finding(finding)],
        Event::Foreseen(latent) if query.takes(&latent.finding) => {
            vec![EventLine::Finding(Box::new(Arc::as_ref(latent).into()))]
        }
        Event::Finding(..) | Event::Foreseen(_) | Event::ReaderLeft => Vec::new(),
        Event::Uncounted(loss, number) => vec![EventLine::Uncounted(Uncounted {
            reason: loss.name().to_owned(),
            number: *number,
        })],
        Event::Notice(notice) => words(notice).into_iter().map(EventLine::Notice).collect(),
        Event::Ended(summary) => vec![EventLine::Summary(Cow::Borrowed(summary))],
    }
}

/// That so many events are missing.
pub fn lost(events: u64) -> EventLine<'static> {
    EventLine::Lost(Lost { lines: events })
}
