//! The auditor is heard: as long as one runs, and the next one after it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    ask::Asker,
    exec::Hook,
    heard::{Absence, Heard},
    recorder::Recorder,
    report::Reporter,
};
use crate::{
    control::{
        Client, ClientError, EventsFilter, FindingsFilter,
        protocol::{EventLine, Status},
    },
    findings::{line::FindingLine, wall_time::WallTime},
    history::{AuditId, AuditRecord, Change, Recorded, changes},
    surfaces::Level,
};

/// How often another auditor is looked for.
const AGAIN: Duration = Duration::from_secs(1);
/// An auditor that has said nothing for so long hangs: it says each second how it stands.
const SILENCE: Duration = Duration::from_secs(10);

/// Who hears the auditor.
pub struct Follower {
    /// How it is found.
    pub asker: Arc<Asker>,
    /// What it said last.
    pub heard: Arc<Heard>,
    /// Who keeps what it says, where somebody does.
    pub recorder: Option<Arc<Recorder>>,
    /// What calls the operator's program for what becomes of findings, where there is one.
    pub hook: Option<Arc<Hook>>,
    /// What is known of the findings of the audit that is heard, or was last.
    pub known: Known,
    /// Where it is said that it came or went.
    pub reporter: Arc<Reporter>,
}

/// Why an auditor is not heard any more.
enum Ended {
    /// It said so.
    Said,
    /// It is gone, or was not there.
    Client(ClientError),
    /// It says nothing.
    Silent,
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl Follower {
    /// Hears each auditor until it is stopped.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut said = None;
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                ended = self.one() => self.gone(&ended, &mut said),
            }
            tokio::select! {
                _ = stopped.changed() => return,
                () = sleep(AGAIN) => {}
            }
        }
    }

    /// Says that it is gone: once, whatever is found out afterwards of where it was; and what somebody has to do something about.
    fn gone(&self, ended: &Ended, said: &mut Option<String>) {
        let (absence, is_plain) = match ended {
            Ended::Said => (Absence::ended(), true),
            Ended::Silent => (Absence::silent("the auditor says nothing"), true),
            Ended::Client(error) => {
                let is_plain = matches!(
                    error,
                    ClientError::NoneRuns
                        | ClientError::NotThere(_)
                        | ClientError::Lost { .. }
                        | ClientError::Silent(_)
                );
                (Absence::from(error), is_plain)
            }
        };
        let why = absence.why.clone();
        self.asker.hears(None);
        if self.heard.gone(absence) {
            *said = None;
        }
        if let Some(recorder) = &self.recorder {
            recorder.hurry();
        }
        let topic = if is_plain { "" } else { &*why };
        if said.as_deref() != Some(topic) {
            *said = Some(topic.to_owned());
            let text = format!("no auditor is heard: {why}; looking for one each second");
            self.reporter.status(Level::Warning, &text);
        }
    }

    /// Hears one auditor to its end.
    async fn one(&mut self) -> Ended {
        let heard = async {
            let mut client = self.asker.find()?;
            self.hear(&mut client).await
        };
        match heard.await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn hear(&mut self, client: &mut Client) -> Result<Ended, Ended> {
        let filter = EventsFilter {
            snapshots: Some(true),
            ..EventsFilter::default()
        };
        let mut events = in_time(client.events(&filter)).await?;
        let mut audit: Option<AuditRecord> = None;
        while let Some(line) = in_time(events.next()).await? {
            let mut is_first = false;
            match line {
                EventLine::Status(status) => {
                    if let Some(hook) = &self.hook {
                        hook.status(&status);
                    }
                    match &mut audit {
                        Some(audit) => *audit = record(&status),
                        None => {
                            self.asker.hears(Some(client.path().to_owned()));
                            let path = client.path().display().to_string();
                            let text = format!("the auditor at {path} is heard");
                            self.reporter.status(Level::Info, &text);
                            let begun = audit.insert(record(&status));
                            self.known.begin(&begun.id);
                            self.list(client, begun).await?;
                            is_first = true;
                        }
                    }
                    if let (Some(recorder), Some(audit)) = (self.recorder.clone(), &audit) {
                        // A file that is new has nothing of what was said before.
                        if recorder.wants_all() && !is_first {
                            self.list(client, audit).await?;
                            is_first = true;
                        }
                        recorder.audit(audit.clone());
                        if is_first {
                            recorder.hurry();
                        }
                    }
                    self.heard.status(*status);
                }
                EventLine::Finding(finding) => {
                    if let Some(audit) = &audit {
                        self.take(audit, *finding);
                    }
                }
                // What is missing is in the list.
                EventLine::Lost(_) => {
                    if let Some(audit) = &audit {
                        self.list(client, audit).await?;
                    }
                }
                EventLine::Summary(summary) => {
                    if let (Some(recorder), Some(audit)) = (&self.recorder, &mut audit) {
                        audit.end(&summary, SystemTime::now().into());
                        recorder.audit(audit.clone());
                    }
                }
                EventLine::Ready(_)
                | EventLine::Uncounted(_)
                | EventLine::Alive
                | EventLine::Notice(_)
                | EventLine::Unknown => {}
            }
        }
        Ok(Ended::Said)
    }

    /// Takes in all that there is.
    async fn list(&mut self, client: &mut Client, audit: &AuditRecord) -> Result<(), Ended> {
        if self.recorder.is_none() && self.hook.is_none() {
            return Ok(());
        }
        let mut filter = FindingsFilter {
            limit: Some(u32::MAX),
            ..FindingsFilter::default()
        };
        loop {
            let page = in_time(client.findings(&filter)).await?;
            for finding in page.findings {
                self.take(audit, finding);
            }
            filter.from = page.next;
            if filter.from.is_none() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, audit: &AuditRecord, finding: FindingLine) {
        if self.recorder.is_none() && self.hook.is_none() {
            return;
        }
        let changes = self.known.changes(&finding);
        if let Some(hook) = &self.hook {
            hook.finding(&finding, &changes);
        }
        if let Some(recorder) = &self.recorder {
            // Whether it has become another than it was, and not only grown: the history has a line of its own for that.
            recorder.finding(audit, finding, !changes.is_empty());
        }
    }
}

/// Waits for an answer no longer than for one that hangs.
async fn in_time<T>(answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, Ended> {
    match timeout(SILENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Ended::Silent),
    }
}

/// What is known of the findings of an audit, as often as it is heard anew.
#[derive(Debug, Default)]
pub struct Known {
    audit: Option<AuditId>,
    findings: HashMap<String, Recorded>,
}

impl Known {
    /// This audit is heard from now on. Of another than before, nothing is known.
    fn begin(&mut self, audit: &AuditId) {
        if self.audit.as_ref() != Some(audit) {
            self.audit = Some(audit.clone());
            self.findings.clear();
        }
    }

    /// What has become of a finding since it was last heard of.
    fn changes(&mut self, finding: &FindingLine) -> Vec<Change> {
        let before = self.findings.get(&finding.id).copied();
        let changes = changes(before, finding);
        let after = Recorded::after(finding, &changes, before);
        if before != Some(after) {
            self.findings.insert(finding.id.clone(), after);
        }
        changes
    }
}

fn record(status: &Status) -> AuditRecord {
    let now = SystemTime::now();
    let time = |text: &str| WallTime::read(text).unwrap_or_else(|| now.into());
    AuditRecord {
        id: AuditId {
            boot: status.boot.clone(),
            started_monotonic_ns: status.started_monotonic_ns,
        },
        host: status.host.clone(),
        labels: status.labels.clone(),
        version: status.version.clone(),
        run: status.run.clone(),
        started: time(&status.started),
        heard: now.into(),
        totals: status.totals,
        uncounted: status.uncounted.clone(),
        ended: false,
    }
}
