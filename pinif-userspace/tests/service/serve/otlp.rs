//! What was found arrives at a collector of OpenTelemetry: at least once, as it is, whatever the collector does.

use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    sync::Barrier,
    thread,
    time::Duration,
};

use pinif_lab::{ServerProcess, free_address};
use pinif_userspace::findings::line::FindingLine;
use tempfile::TempDir;

use super::{
    collector::{Answer, Collector, Record, Sent, newest, uids},
    served::Served,
};
use crate::{
    bench::{Need, Report, rotel, scenario},
    control::asked::{LEAK, Place},
};

/// Another finding than that of [`LEAK`].
const OTHER: &str = "udp --bind-device eth1 --pktinfo fab0 --to 10.0.0.2:9";

/// A `pinif serve` that sends what is in the history of this folder.
fn serve(place: &Place, folder: &TempDir, url: &str) -> Served {
    let history = folder.path().join("history.db");
    let arguments: [OsString; 6] = [
        "--history".into(),
        history.into(),
        "--otlp".into(),
        url.into(),
        "--otlp-metrics".into(),
        "1s".into(),
    ];
    let mut served = Served::start(place, arguments);
    served.wait_until_heard();
    served
}

/// The value of a metric of `pinif serve`.
fn metric(served: &Served, name: &str) -> u64 {
    let (_, text) = served.get("/metrics");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).expect(name)
}

/// Waits until a record of a finding with so many packets was sent.
fn wait_for_packets(collector: &Collector, bound: &str, packets: u64) -> Record {
    let what = format!("{packets} packets of {bound}");
    collector.wait_for(&what, |sent| {
        let records = newest(sent);
        let mut of = records.into_values();
        of.find(|record| {
            record.of("pinif.bound_device") == bound && record.number("pinif.packets") == packets
        })
    })
}

/// The collector has these findings, with their last counts, and no other.
pub fn is_all<'a>(sent: &[Sent], findings: impl IntoIterator<Item = &'a FindingLine>) {
    let records = newest(sent);
    let findings: Vec<_> = findings.into_iter().collect();
    let found = findings.iter().filter_map(|finding| finding.uid.as_deref());
    assert_eq!(uids(&records), found.collect());
    for finding in findings {
        let record = &records[finding.uid.as_deref().expect("a uid")];
        assert_eq!(
            record.number("pinif.packets"),
            finding.packets,
            "{record:#?}"
        );
        assert_eq!(record.number("pinif.bytes"), finding.bytes, "{record:#?}");
    }
}

#[test]
fn whatever_a_collector_does_all_arrives_or_is_counted_as_refused() {
    scenario("otlp misbehaves", &[], |bench| {
        let place = Place::new();
        let folder = tempfile::tempdir().expect("a folder");
        let collector = Collector::new();
        let labels = ["--label", "chassis=c1", "--label", "slot=7"];
        let mut auditor = place.audit(bench, &labels);
        let mut served = serve(&place, &folder, &collector.url());

        // An acknowledgement is lost, then the collector wants to be left alone for a second.
        collector.answer([Answer::Lose, Answer::Later(1), Answer::Take]);
        bench.send(&format!("{LEAK} --count 7"));
        let found = auditor.wait_for_finding("device-escape");
        let three =
            collector.wait_for("three attempts", |sent| sent.get(..3).map(<[Sent]>::to_vec));
        assert!(
            three[2].at - three[1].at >= Duration::from_secs(1),
            "{three:#?}"
        );
        let first = &three[0].records[0];
        assert_eq!(first.record.event_name, "pinif.finding.opened");
        assert_eq!(Some(first.of("pinif.finding.uid")), found.uid);
        for (key, value) in [("chassis", "c1"), ("slot", "7"), ("service.name", "pinif")] {
            assert_eq!(first.resource[key], value);
        }
        assert_eq!(first.of("network.interface.name"), "eth1");
        assert_eq!(first.of("pinif.process.comm"), "pinif-sender");
        let name = ("kind", "device-escape");
        let labels = [name, ("severity", "leak"), ("rule", "")];
        let resource = collector.wait_for_metric("pinif_findings_opened_total", &labels, 1);
        assert_eq!(resource, first.resource);

        // What it refuses, whole or in part, is counted, said, and not sent again: but what becomes of it later is.
        let refused = |sent: &[Sent]| {
            let refused = sent.iter().filter(|sent| sent.answer == Answer::Refuse);
            refused.map(|sent| sent.records.len() as u64).sum::<u64>()
        };
        served.until("that all is acknowledged", |served| {
            (metric(served, "pinif_export_unacknowledged") == 0).then_some(())
        });
        collector.answer([Answer::Refuse]);
        bench.send(&format!("{OTHER} --count 3"));
        served.pinif.wait_for_note(
            "refused, which are not sent again: it answers 400 Bad Request: bad\\nfield",
        );
        served.until("that it is counted", |served| {
            let counted = metric(served, r#"pinif_export_rejected_total{signal="logs"}"#);
            (counted == refused(&collector.sent())).then_some(())
        });
        served.until("that all is acknowledged", |served| {
            (metric(served, "pinif_export_unacknowledged") == 0).then_some(())
        });
        collector.answer([Answer::Partly(1)]);
        bench.send(&format!("{OTHER} --count 60"));
        served
            .pinif
            .wait_for_note("1 record refused, which are not sent again: too\\nold");
        served.until("that it is counted", |served| {
            let counted = metric(served, r#"pinif_export_rejected_total{signal="logs"}"#);
            (counted == refused(&collector.sent()) + 1).then_some(())
        });

        // It is stopped in the middle of a leak, and `pinif serve` is killed before it has sent what came.
        let mut sent = collector.sent();
        let port = collector.port();
        drop(collector);
        bench.send(&format!("{LEAK} --count 700"));
        served.until("that something is behind", |served| {
            (metric(served, "pinif_export_unacknowledged") == 1).then_some(())
        });
        served.until("that it fails", |served| {
            (metric(served, "pinif_export_failures_total") > 1).then_some(())
        });
        served.pinif.kill();
        bench.send(&format!("{OTHER} --count 1"));
        let collector = Collector::of(TcpListener::bind(("127.0.0.1", port)).expect("its port"));
        let mut served = serve(&place, &folder, &collector.url());
        let report = auditor.stop();
        wait_for_packets(&collector, "fab0", 707);
        wait_for_packets(&collector, "eth1", 64);
        served.pinif.wait_for_note("no auditor is heard");
        served.until("that all is acknowledged", |served| {
            (metric(served, "pinif_export_unacknowledged") == 0).then_some(())
        });
        collector.wait_for_metric("pinif_ready", &[], 0);
        served.stop();
        sent.extend(collector.sent());
        is_all(&sent, &report.findings);
    });
}

/// A collector that is not ours, rotel, at this address, which sends all on to `to`. It answers once this returns.
pub fn collect(program: &Path, address: SocketAddr, to: &Collector) -> ServerProcess {
    let other = free_address().expect("a port");
    let mut command = Command::new(program);
    command
        .args(["start", "--otlp-http-endpoint", &address.to_string()])
        .args(["--otlp-grpc-endpoint", &other.to_string()])
        .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
        .args(["--otlp-exporter-endpoint", &to.url()])
        .args(["--batch-timeout", "100ms"]);
    let started = ServerProcess::start(&mut command).expect("it starts");
    started.listening_at(address).expect("rotel")
}

/// How many cards there are in a chassis.
const CARDS: usize = 16;

/// A chassis whose cards send to a collector that others wrote, which passes on what it takes; it is gone in the middle of their leaks.
#[test]
fn the_cards_of_a_chassis_are_heard_by_a_collector_of_others() {
    scenario("otlp chassis", &[Need::Rotel], |_| {
        let program = rotel().expect("it is there");
        let behind = Collector::new();
        let address = free_address().expect("a port");
        let collector = collect(&program, address, &behind);
        // All cards and the collector go from step to step together.
        let step = Barrier::new(CARDS + 1);
        let reports: Vec<Report> = thread::scope(|scope| {
            let cards: Vec<_> = (0..CARDS)
                .map(|slot| {
                    let (behind, step) = (&behind, &step);
                    scope.spawn(move || card(slot, address.port(), behind, step))
                })
                .collect();
            step.wait();
            drop(collector);
            step.wait();
            step.wait();
            let _collector = collect(&program, address, &behind);
            step.wait();
            let reports = cards.into_iter().map(|card| card.join().expect("a report"));
            reports.collect()
        });
        let sent = behind.sent();
        let findings: Vec<_> = reports.iter().flat_map(|report| &report.findings).collect();
        assert_eq!(findings.len(), CARDS);
        is_all(&sent, findings);
    });
}

/// A card leaks, and sends it. Each wait is for what the other cards and the collector do, too.
fn card(slot: usize, port: u16, behind: &Collector, step: &Barrier) -> Report {
    let mut made = None;
    scenario("otlp card", &[], |bench| {
        let place = Place::new();
        let folder = tempfile::tempdir().expect("a folder");
        let slot = slot.to_string();
        let mut auditor = place.audit(bench, &["--label", &format!("slot={slot}")]);
        let served = serve(&place, &folder, &format!("http://127.0.0.1:{port}"));
        bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        // What it only grew by would come later.
        let of_it = |sent: &[Sent]| {
            let mut records = newest(sent).into_values();
            records.find(|record| record.resource["slot"] == slot)
        };
        behind.wait_for("a record of the card", of_it);
        step.wait();
        step.wait();
        bench.send(&format!("{LEAK} --count 700"));
        served.until("that something is behind", |served| {
            (metric(served, "pinif_export_unacknowledged") == 1).then_some(())
        });
        step.wait();
        step.wait();
        let report = auditor.stop();
        behind.wait_for("the last counts", |sent| {
            (of_it(sent)?.number("pinif.packets") == 707).then_some(())
        });
        served.stop();
        made = Some(report);
    });
    made.expect("its needs are met")
}

#[test]
fn what_must_not_be_sent_so_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "secret").expect("it is ours");
    let history = folder.path().join("history.db");
    for (arguments, said) in [
        (&["--otlp", "http://u:p@10.0.0.1"][..], "--otlp-token"),
        (&["--otlp", "10.0.0.1:4318"], "is no URL of a collector"),
        (
            &["--otlp", "http://collector.example", "--via", "lo"],
            "whichever interface its route has",
        ),
        (
            &[
                "--otlp",
                "http://10.0.0.1",
                "--otlp-token",
                &token.to_string_lossy(),
            ],
            "must not be sent in the clear",
        ),
        (
            &["--otlp", "http://10.0.0.1", "--otlp-metrics", "0s"],
            "--otlp-metrics 30s",
        ),
        (&["--via", "a/b"], "is no name of an interface"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command
            .args(["serve", "--history"])
            .arg(&history)
            .args(arguments);
        let output = command.output().expect("pinif runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains(said),
            "{arguments:?}: {error}"
        );
        assert!(!error.contains("u:p"), "{error}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
    command.args(["serve", "--otlp", "http://10.0.0.1"]);
    let output = command.output().expect("pinif runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("--history"), "{error}");
}
