//! What is behind is sent, and the metrics, as long as `pinif serve` runs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{ResourceMetrics, ScopeMetrics},
};
use prost::Message as _;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    super::{heard, recorder::Recorder, report::Reporter, sources::Sources},
    metrics::{metrics, points},
    pace::Pace,
    record::record,
    reply::{Reason, Reply, Signal},
    request::Collector,
    resource::{resource, scope},
    standing::Exports,
    trouble::Trouble,
};
use crate::history::{Behind, Machine, Outbox, StoreError};

/// How many records are sent at once: some hundreds of kilobytes.
const AT_ONCE: u32 = 256;

/// Who sends what is behind, and the metrics.
pub struct Exporter {
    /// Where to.
    pub collector: Collector,
    /// Who keeps the history that it is sent from.
    pub recorder: Arc<Recorder>,
    /// What metrics are made of.
    pub sources: Sources,
    /// How often these are sent.
    pub every: Duration,
    /// How it stands.
    pub exports: Arc<Exports>,
    /// Where it is said what the collector refuses.
    pub reporter: Arc<Reporter>,
}

/// What became of an attempt.
enum Attempt {
    /// There is nothing to send.
    Nothing,
    /// It is done, and there may be more.
    Done,
    /// It is to be made again.
    Again(Option<Duration>, Reason),
}

impl Exporter {
    /// Sends until it is stopped. What is not acknowledged by then is sent by the next one.
    pub async fn run(self, stopped: watch::Receiver<bool>) {
        tokio::join!(self.findings(stopped.clone()), self.metrics(stopped));
    }

    fn trouble(&self, signal: Signal) -> Trouble<'_> {
        let what = match signal {
            Signal::Logs => "findings",
            Signal::Metrics => "metrics",
        };
        Trouble::new(signal, &self.exports, move |level, text| {
            let text = format!("{what} for {}: {text}", self.collector.endpoint);
            self.reporter.note(level, &text);
        })
    }

    async fn findings(&self, mut stopped: watch::Receiver<bool>) {
        let mut pace = Pace::default();
        let mut trouble = self.trouble(Signal::Logs);
        loop {
            let attempt = tokio::select! {
                _ = stopped.changed() => return,
                attempt = self.send_findings(&mut trouble) => attempt,
            };
            let pause = match attempt {
                Attempt::Nothing => None,
                Attempt::Done => {
                    pace.succeeded();
                    continue;
                }
                Attempt::Again(after, reason) => {
                    trouble.failed(&reason);
                    Some(pace.failed(after, fastrand::f64()))
                }
            };
            let waited = async {
                match pause {
                    Some(pause) => sleep(pause).await,
                    None => self.recorder.written().await,
                }
            };
            tokio::pin!(waited);
            loop {
                tokio::select! {
                    _ = stopped.changed() => return,
                    () = &mut waited => break,
                    // More may be behind by now.
                    () = self.recorder.written(), if pause.is_some() => self.count().await,
                }
            }
        }
    }

    /// Sends the first that are behind.
    async fn send_findings(&self, trouble: &mut Trouble<'_>) -> Attempt {
        let next = self.history(|outbox| {
            let behind = outbox.next(AT_ONCE)?;
            let records: Vec<_> = behind.iter().map(one).collect();
            let new: Vec<_> = behind
                .iter()
                .zip(&records)
                .filter(|(behind, _)| behind.record.is_none())
                .map(|(behind, record)| (behind, record.encode_to_vec()))
                .collect();
            outbox.keep(&new)?;
            Ok((outbox.count()?, behind, records))
        });
        let (count, behind, records) = match next.await {
            Ok(next) => next,
            // Nothing was written yet.
            Err(StoreError::Missing(_)) => return Attempt::Nothing,
            Err(error) => return Attempt::Again(None, error.into()),
        };
        self.exports.behind(count);
        if behind.is_empty() {
            return Attempt::Nothing;
        }
        let message = ExportLogsServiceRequest {
            resource_logs: by_machine(&behind, records),
        };
        let sent = behind.len() as u64;
        let answer = self.collector.send(Signal::Logs, message.encode_to_vec());
        match answer.await {
            Reply::Taken { rejected, message } => trouble.taken(rejected.min(sent), &message),
            Reply::Rejected(reason) => trouble.rejected(sent, &reason),
            Reply::Later { after, reason } => return Attempt::Again(after, reason),
        }
        let taken = self.history(move |outbox| {
            outbox.acknowledge(&behind)?;
            outbox.count()
        });
        match taken.await {
            Ok(count) => {
                self.exports.behind(count);
                Attempt::Done
            }
            // It is sent once more, and is the same then.
            Err(error) => Attempt::Again(None, error.into()),
        }
    }

    async fn count(&self) {
        if let Ok(count) = self.history(|outbox| outbox.count()).await {
            self.exports.behind(count);
        }
    }

    /// Asks the history, which is on a disk. It is opened each time: somebody may have removed it, and another is there then.
    async fn history<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Outbox) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path: PathBuf = self.recorder.path().to_owned();
        let missing = StoreError::Missing(path.clone());
        let asked = spawn_blocking(move || ask(&mut Outbox::open(&path)?));
        // It does not panic; at the end of all, nobody waits for it.
        asked.await.unwrap_or(Err(missing))
    }

    async fn metrics(&self, mut stopped: watch::Receiver<bool>) {
        let started = SystemTime::now();
        let mut trouble = self.trouble(Signal::Metrics);
        let mut pace = Pace::default();
        let mut machine = None;
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let attempt = async {
                ticks.tick().await;
                self.send_metrics(started, &mut machine, &mut trouble).await
            };
            let attempt = tokio::select! {
                _ = stopped.changed() => return,
                attempt = attempt => attempt,
            };
            let Attempt::Again(after, reason) = attempt else {
                pace.succeeded();
                continue;
            };
            trouble.failed(&reason);
            // Those of then are sent: nobody misses those of now, since they are cumulative.
            tokio::select! {
                _ = stopped.changed() => return,
                () = sleep(pace.failed(after, fastrand::f64())) => {}
            }
        }
    }

    async fn send_metrics(
        &self,
        started: SystemTime,
        machine: &mut Option<Machine>,
        trouble: &mut Trouble<'_>,
    ) -> Attempt {
        let (of_auditor, own) = (
            self.sources.metrics_of_auditor().await,
            self.sources.own_metrics(),
        );
        if let Some((status, _)) = self.sources.heard.fresh() {
            *machine = Some(heard::machine(&status));
        } else if machine.is_none() {
            // What was heard before this was started.
            *machine = self.history(|outbox| outbox.machine()).await.ok().flatten();
        }
        let now = SystemTime::now();
        let mut all = metrics(&of_auditor, started, now);
        all.extend(metrics(&own, started, now));
        let sent = points(&all);
        let message = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource(&machine.clone().unwrap_or_default())),
                scope_metrics: vec![ScopeMetrics {
                    scope: scope(),
                    metrics: all,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let answer = self
            .collector
            .send(Signal::Metrics, message.encode_to_vec());
        match answer.await {
            Reply::Taken { rejected, message } => trouble.taken(rejected, &message),
            Reply::Rejected(reason) => trouble.rejected(sent, &reason),
            Reply::Later { after, reason } => return Attempt::Again(after, reason),
        }
        Attempt::Done
    }
}

/// The record that is sent: the one that was sent of this revision before, where it was.
fn one(behind: &Behind) -> LogRecord {
    let kept = behind
        .record
        .as_deref()
        .and_then(|record| LogRecord::decode(record).ok());
    kept.unwrap_or_else(|| record(behind, SystemTime::now()))
}

/// The records, those of one audit together.
fn by_machine(behind: &[Behind], records: Vec<LogRecord>) -> Vec<ResourceLogs> {
    let mut audits: BTreeMap<i64, (&Machine, Vec<LogRecord>)> = BTreeMap::new();
    for (behind, record) in behind.iter().zip(records) {
        let audit = audits.entry(behind.audit);
        audit
            .or_insert_with(|| (&behind.machine, Vec::new()))
            .1
            .push(record);
    }
    let audits = audits
        .into_values()
        .map(|(machine, log_records)| ResourceLogs {
            resource: Some(resource(machine)),
            scope_logs: vec![ScopeLogs {
                scope: scope(),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        });
    audits.collect()
}
