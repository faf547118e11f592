//! The record of a finding: one for each revision that is sent. Its names are a contract (`docs/otlp.md`): those of OpenTelemetry's
//! semantic conventions where these have one, and `pinif.…` else.

use std::time::SystemTime;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use pinif_ebpf::verdict::Severity;

use super::resource::{flag, number, text};
use crate::{
    findings::{
        alert_state::AlertState, finding::PacketDirection, line::FindingLine, process::Process,
        wall_time::WallTime,
    },
    history::{Behind, Change},
    text::escape::visible,
};

/// Its record, as it is observed now.
pub fn record(behind: &Behind, now: SystemTime) -> LogRecord {
    let line = &behind.finding;
    // What became of it first: that it was found, where nobody knows of it yet. Its state says what it is by now.
    let event = behind
        .changes
        .first()
        .map_or("updated", |change| change.name());
    LogRecord {
        time_unix_nano: nanos(time(line, behind.changes.first().copied())),
        observed_time_unix_nano: nanos(Some(now.into())),
        severity_number: severity(line).into(),
        severity_text: line.severity.name().to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(visible(&line.explanation).into_owned())),
        }),
        attributes: attributes(line),
        event_name: format!("pinif.finding.{event}"),
        ..LogRecord::default()
    }
}

/// How grave it is, as the journal has it (OpenTelemetry's data model of logs maps syslog's priorities so).
fn severity(line: &FindingLine) -> SeverityNumber {
    match (line.state, line.severity) {
        (AlertState::Accepted, _) => SeverityNumber::Info,
        (_, Severity::Leak) => SeverityNumber::Error2,
        (_, Severity::Risk) => SeverityNumber::Warn,
        (_, Severity::Note) => SeverityNumber::Info2,
    }
}

/// When it was: what is about packets has their time, and what is not, none.
fn time(line: &FindingLine, change: Option<Change>) -> Option<WallTime> {
    match change {
        Some(Change::Opened) => WallTime::read(&line.first_seen),
        Some(Change::Grew | Change::Reopened) | None => WallTime::read(&line.last_seen),
        Some(Change::Quiet | Change::Accepted | Change::Joined) => None,
    }
}

/// In nanoseconds since 1970; 0 is unknown.
fn nanos(time: Option<WallTime>) -> u64 {
    let micros = time.map_or(0, |time| time.micros().max(0).unsigned_abs());
    micros.saturating_mul(1000)
}

fn attributes(line: &FindingLine) -> Vec<KeyValue> {
    let uid = line.uid.as_deref().unwrap_or_default();
    let texts = [
        // Equal ones are duplicates, by the convention: so it has the revision as well.
        ("log.record.uid", Some(&*format!("{uid}/{}", line.revision))),
        ("pinif.finding.uid", Some(uid)),
        ("pinif.finding.id", Some(&*line.id)),
        ("pinif.kind", Some(line.kind.name())),
        ("pinif.severity", Some(line.severity.name())),
        ("pinif.state", Some(line.state.name())),
        ("pinif.rule", line.rule.as_deref()),
        ("pinif.netns", Some(&*line.netns)),
        ("pinif.bound_device", line.bound_device.as_deref()),
        ("pinif.bound_address", line.bound_address.as_deref()),
        ("network.interface.name", Some(&*line.egress_interface)),
        ("network.io.direction", Some(direction(line.direction))),
        ("pinif.protocol", Some(&*line.protocol)),
        ("network.transport", transport(line)),
        ("pinif.cause", Some(&*line.cause)),
        ("pinif.remedy", Some(&*line.remedy)),
        ("pinif.part_of", line.part_of.as_deref()),
        ("pinif.first_seen", Some(&*line.first_seen)),
        ("pinif.last_seen", Some(&*line.last_seen)),
    ];
    let mut all: Vec<_> = texts
        .into_iter()
        .filter_map(|(key, value)| Some(text(key, value?)))
        .collect();
    all.extend(endpoint("source", &line.source));
    all.extend(endpoint("destination", &line.destination));
    all.extend(line.process.iter().flat_map(process));
    all.extend([
        number("pinif.finding.revision", line.revision),
        number("pinif.packets", line.packets),
        number("pinif.bytes", line.bytes),
        flag("pinif.dropped", line.dropped),
    ]);
    all
}

fn direction(direction: PacketDirection) -> &'static str {
    match direction {
        PacketDirection::Out => "transmit",
        PacketDirection::In => "receive",
    }
}

/// What the convention has a name for.
fn transport(line: &FindingLine) -> Option<&str> {
    Some(&*line.protocol).filter(|protocol| matches!(*protocol, "tcp" | "udp"))
}

/// An address, with its port where it has one: `10.0.0.1:40000`, `[fd00::1]:40000`, `fd00::1`.
fn endpoint(whose: &str, shown: &str) -> Vec<KeyValue> {
    let address = |address: &str| text(&format!("{whose}.address"), address);
    match shown.parse::<std::net::SocketAddr>() {
        Ok(socket) => vec![
            address(&socket.ip().to_string()),
            number(&format!("{whose}.port"), socket.port().into()),
        ],
        Err(_) if shown.is_empty() => Vec::new(),
        Err(_) => vec![address(shown)],
    }
}

fn process(process: &Process) -> Vec<KeyValue> {
    let exe = process.exe.as_deref();
    let name = exe.and_then(|exe| exe.rsplit('/').next());
    let texts = [
        ("process.executable.path", exe),
        ("process.executable.name", name),
        ("process.linux.cgroup", process.cgroup.as_deref()),
        ("pinif.process.comm", Some(&*process.comm)),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(key, value)| Some(text(key, value?)));
    let pid = process.pid.map(|pid| number("process.pid", pid.into()));
    let user = number("process.user.id", process.uid.into());
    texts.chain(pid).chain([user]).collect()
}

#[cfg(test)]
mod tests;
