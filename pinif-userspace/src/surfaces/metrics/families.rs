//! Which metrics there are.

use std::{
    collections::BTreeMap,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use pinif_ebpf::{
    loss::Loss,
    verdict::{Kind, Severity},
};

use super::write::{Values, Writer};
use crate::{
    findings::alert_state::AlertState,
    hub::{Snapshot, series::OTHER},
};

/// How many series say how many interfaces there are, beside those of all other namespaces.
const INTERFACES: usize = 240;

/// What there is to say of the auditor, be it there or not.
pub fn of_auditor(writer: &mut Writer<'_>, is_ready: bool) -> fmt::Result {
    writer.value(
        "pinif_ready",
        "Whether an auditor judges all packets",
        is_ready.into(),
    )?;
    writer.info(
        "pinif_build",
        "The version of pinif",
        ("version", env!("CARGO_PKG_VERSION")),
    )
}

/// What there is to say of an audit.
pub fn of_audit(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    traffic(writer, snapshot)?;
    findings(writer, snapshot)?;
    blindness(writer, snapshot)?;
    policy(writer, snapshot)
}

fn traffic(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let series = &snapshot.series;
    let by_zone = ["netns", "zone", "verdict"];
    let left = || {
        let all = series.left.iter();
        all.map(|(left, count)| ([&*left.netns, &left.zone, left.verdict.name()], *count))
    };
    writer.counter(
        "pinif_packets",
        "Packets that left, each once, by the zones of the interface that it left by",
        &Values::of(by_zone).with(left().map(|(labels, count)| (labels, count.packets))),
    )?;
    writer.counter(
        "pinif_bytes",
        "Bytes of these packets, with the link header",
        &Values::of(by_zone).with(left().map(|(labels, count)| (labels, count.bytes))),
    )?;
    let by_interface = ["netns", "bound_device", "egress_interface", "verdict"];
    let passed = series.passed.iter().map(|(passed, count)| {
        let labels = [
            &*passed.netns,
            &passed.bound_device,
            &passed.egress_interface,
            passed.verdict.name(),
        ];
        (labels, count.packets)
    });
    writer.counter(
        "pinif_interface_packets",
        "Packets that left by an interface, also by one below another",
        &Values::of(by_interface).with(passed),
    )?;
    let dropped = series.dropped.iter();
    let dropped =
        dropped.map(|(dropped, count)| ([&*dropped.netns, dropped.kind.name()], count.packets));
    writer.counter(
        "pinif_dropped_packets",
        "Packets that were dropped, and did not leave or come in",
        &Values::of(["netns", "kind"]).with(dropped),
    )
}

fn findings(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut opened = Values::of(["kind", "severity", "rule"]);
    let mut now = Values::of(["kind", "severity", "state"]);
    for kind in Kind::ALL {
        for severity in severities(kind) {
            opened.add([kind.name(), severity.name(), ""], 0);
            for state in AlertState::ALL {
                now.add([kind.name(), severity.name(), state.name()], 0);
            }
        }
    }
    for (finding, number) in &snapshot.series.opened {
        let labels = [finding.kind.name(), finding.severity.name(), &finding.rule];
        opened.add(labels, *number);
    }
    for ((severity, kind, state), number) in &snapshot.findings {
        now.add([kind.name(), severity.name(), state.name()], *number);
    }
    writer.counter(
        "pinif_findings_opened",
        "Findings that were reported as new",
        &opened,
    )?;
    writer.gauge("pinif_findings", "Findings that there are", &now)
}

fn blindness(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut lost = Values::of(["reason"]).with(Loss::ALL.map(|loss| ([loss.name()], 0)));
    for (loss, number) in &snapshot.losses {
        lost.add([loss.name()], *number);
    }
    writer.counter(
        "pinif_uncounted",
        "What could not be counted or shown, by the place that lost it",
        &lost,
    )?;
    writer.gauge(
        "pinif_interfaces",
        "Interfaces that are audited, and those that cannot be",
        &interfaces(snapshot),
    )?;
    let fills = || snapshot.fills.iter();
    let by_map = ["map"];
    writer.gauge(
        "pinif_map_entries",
        "Entries of a table in the kernel",
        &Values::of(by_map).with(fills().map(|fill| ([fill.map], fill.entries))),
    )?;
    writer.gauge(
        "pinif_map_capacity",
        "Entries that a table in the kernel has room for",
        &Values::of(by_map).with(fills().map(|fill| ([fill.map], fill.capacity))),
    )
}

/// How many interfaces each namespace has. Those that are refused come first, where not all have series of their own.
fn interfaces(snapshot: &Snapshot) -> Values<2> {
    let mut all: BTreeMap<(&str, bool), u64> = BTreeMap::new();
    for interface in &snapshot.interfaces {
        let is_refused = interface.refused.is_some();
        *all.entry((&interface.netns, is_refused)).or_default() += 1;
        all.entry((&interface.netns, !is_refused)).or_default();
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|&((_, is_refused), number)| (number == 0, !is_refused));
    let all = all.into_iter().enumerate();
    Values::of(["netns", "state"]).with(all.map(|(place, ((netns, is_refused), number))| {
        let netns = if place < INTERFACES { netns } else { OTHER };
        let state = if is_refused { "refused" } else { "audited" };
        ([netns, state], number)
    }))
}

fn policy(writer: &mut Writer<'_>, snapshot: &Snapshot) -> fmt::Result {
    let policy = &snapshot.policy;
    let digest = policy.file.as_ref().map_or("", |file| &file.digest);
    writer.info(
        "pinif_policy",
        "The policy in force: the SHA-256 of its file, empty without one",
        ("digest", digest),
    )?;
    writer.value(
        "pinif_policy_reload_success",
        "Whether the policy that was read last is in force",
        policy.failure.is_none().into(),
    )?;
    writer.value(
        "pinif_policy_loaded_timestamp_seconds",
        "When the policy in force came into force in this run",
        seconds(policy.loaded),
    )?;
    writer.value(
        "pinif_enforcing",
        "Whether leaks are dropped",
        snapshot.enforces.into(),
    )?;
    writer.value(
        "pinif_enforcement_requested",
        "Whether leaks were to be dropped",
        snapshot.enforcement_asked.into(),
    )?;
    writer.value(
        "pinif_started_timestamp_seconds",
        "When the counts begin",
        seconds(snapshot.started),
    )?;
    writer.value(
        "pinif_snapshot_timestamp_seconds",
        "When all of this was so",
        seconds(snapshot.time),
    )
}

/// The severities that findings of a kind may have.
fn severities(kind: Kind) -> impl Iterator<Item = Severity> {
    let row = kind.row();
    let all = [Severity::Note, Severity::Risk, Severity::Leak].into_iter();
    all.filter(move |severity| row.varies || *severity == row.severity)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
