//! One card that leaks: what its findings take in each form, and what it sends to a collector and to who scrapes it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use pinif_lab::send::index;
use pinif_lab::{Cgroup, Chassis};
use prost::Message as _;

use crate::auditor::{Auditor, PINIF};
use crate::leak::{self, FIRST_USER};
use crate::report::{Row, Section};
use crate::served::Served;
use crate::waiting::until;
use crate::web::{self, Request};

/// How many findings the card has, each of another user: as many as one message of `pinif serve` has at most. It follows `AT_ONCE` of
/// `src/serve/otlp/export.rs`: with more, no message has all of them.
pub const PER_CARD: usize = 256;
/// How long they may take until they have come.
const PATIENCE: Duration = Duration::from_secs(120);
/// The field that says so, with its length as each has one (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
const OPENED: &[u8] = b"PINIF_TRANSITION\n\x06\0\0\0\0\0\0\0opened\n";
const LABELS: &str = "chassis=c1";

/// What a card sends.
pub struct Card {
    /// Bytes of a line of each finding, of an entry of the journal.
    lines: Vec<f64>,
    entries: Vec<f64>,
    /// Bytes of the history, a finding.
    kept: f64,
    /// The message with all findings.
    pub message: ExportLogsServiceRequest,
    /// Its metrics, as they are scraped.
    pub metrics: String,
}

impl Card {
    /// Has one leak, and takes what it sends.
    pub fn measure() -> Result<Self> {
        let chassis = pinif_lab::chassis()?;
        let cgroup = Cgroup::new("fleet")?;
        let folder = tempfile::tempdir()?;
        let journal = folder.path().join("journal");
        let entries = UnixDatagram::bind(&journal)?;
        entries.set_read_timeout(Some(PATIENCE))?;
        // At once: what finds no room there is left out after a second.
        let entries = thread::spawn(move || entry_lengths(&entries));
        let mut command = Command::new(PINIF);
        command
            .env("PINIF_AUDIT_JOURNAL", &journal)
            .env("PINIF_AUDIT_LABEL", LABELS);
        let mut auditor = Auditor::start(command, chassis.card.name(), &cgroup, "")?;
        leak(&chassis)?;
        let lines = lines(&mut auditor)?;
        let entries = entries.join().ok().context("the journal is not read")??;
        let history = folder.path().join("history.db");
        keep(auditor.socket(), &history)?;

        // Only then: the first message has all of them.
        let (collector, requests) = web::listen()?;
        let server = Served::start(
            auditor.socket(),
            [
                OsString::from("--otlp"),
                format!("http://{collector}").into(),
                "--history".into(),
                history.clone().into(),
            ],
        )?;
        let message = logs(|| {
            requests
                .recv_timeout(PATIENCE)
                .context("nothing is exported")
        })?;
        let (metrics, kept) = (server.metrics()?, size(&history)?);
        Ok(Self {
            lines,
            entries,
            kept: kept / PER_CARD as f64,
            message,
            metrics,
        })
    }

    /// What a finding takes.
    pub fn section(&self) -> Section {
        let records = all_records(&self.message).map(|record| record.encoded_len() as f64);
        let share = self.message.encoded_len() as f64 / PER_CARD as f64;
        let row = |what: &str, figures: Vec<f64>| Row::new([what], "B", figures);
        Section {
            name: "fleet",
            title: "What a finding takes on its way",
            about: Some(
                "256 findings of one card, a `device-escape` each, of 256 users of one program. A record is without compression, and so are the others; a finding has one when it is opened, and others when it grows tenfold, is quiet, open again, or accepted, or once in 30 seconds while it only grows.",
            ),
            columns: vec!["what"],
            rows: vec![
                row("a line of JSON", self.lines.clone()),
                row("an entry of the journal", self.entries.clone()),
                row("a record of OTLP", records.collect()),
                row("the same, with its share of the message", vec![share]),
                row(
                    "in the history, with what is kept to be sent again",
                    vec![self.kept],
                ),
            ],
        }
    }
}

/// All records of a message.
pub fn all_records(
    message: &ExportLogsServiceRequest,
) -> impl Iterator<Item = &opentelemetry_proto::tonic::logs::v1::LogRecord> {
    let scopes = message.resource_logs.iter().flat_map(|of| &of.scope_logs);
    scopes.flat_map(|of| &of.log_records)
}

/// Each of many users has a packet of a socket that is bound to the backplane leave by the front port.
fn leak(chassis: &Chassis) -> Result<()> {
    let sent: io::Result<()> = chassis.card.run(|| {
        let front = index("eth1")?;
        let to = SocketAddr::from(([10, 0, 0, 2], 9));
        for user in 0..PER_CARD as u32 {
            let socket = leak::socket(FIRST_USER + user, to, "fab0")?;
            leak::leak(&socket, to, front)?;
        }
        Ok(())
    })?;
    sent.context("cannot leak")
}

/// Has all findings be in a history.
fn keep(socket: &Path, history: &Path) -> Result<()> {
    let served = Served::start(socket, [OsStr::new("--history"), history.as_os_str()])?;
    let ask = || -> Result<serde_json::Value> {
        // It answers 503 until there is one.
        let page = web::get(served.address(), "/v1/history?limit=1").unwrap_or_default();
        Ok(serde_json::from_str(&page).unwrap_or_default())
    };
    until(
        PATIENCE,
        Duration::from_millis(100),
        ask,
        |page| page["total"] == PER_CARD,
        |_| "the history has not all findings".to_owned(),
    )?;
    Ok(())
}

/// How long the first line of each finding is, with its end.
fn lines(auditor: &mut Auditor) -> Result<Vec<f64>> {
    let mut lengths = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    while lengths.len() < PER_CARD {
        let line = auditor.next_line()?.text;
        let value: serde_json::Value = serde_json::from_str(&line)?;
        if value["type"] == "finding" && ids.insert(value["id"].to_string()) {
            lengths.push(line.len() as f64 + 1.0);
        }
    }
    Ok(lengths)
}

/// How long the entries are by which findings are opened.
fn entry_lengths(journal: &UnixDatagram) -> Result<Vec<f64>> {
    let mut lengths = Vec::new();
    let mut entry = vec![0; 64 << 10];
    while lengths.len() < PER_CARD {
        let length = journal
            .recv(&mut entry)
            .context("the journal gets no entry")?;
        if memchr::memmem::find(&entry[..length], OPENED).is_some() {
            lengths.push(length as f64);
        }
    }
    Ok(lengths)
}

/// The first message with all findings.
fn logs(next: impl Fn() -> Result<Request>) -> Result<ExportLogsServiceRequest> {
    let end = Instant::now() + PATIENCE;
    loop {
        let request = next()?;
        if request.path == "/v1/logs" {
            let message = ExportLogsServiceRequest::decode(&*request.body)?;
            if all_records(&message).count() == PER_CARD {
                return Ok(message);
            }
        }
        ensure!(Instant::now() < end, "no message has all findings");
    }
}

/// The bytes of a history, with what is not in its file yet.
fn size(history: &Path) -> Result<f64> {
    let mut bytes = std::fs::metadata(history)?.len();
    let log = history.with_extension("db-wal");
    bytes += log.metadata().map_or(0, |metadata| metadata.len());
    Ok(bytes as f64)
}
