//! How an audit ends: by a signal, by its time, with its reader; and with which exit status.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;
use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::Severity;
use pinif_lab::{send, socket};

use crate::bench::{Bench, Report, Setup, leak, note, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
const RISK: &str = "udp --bind 10.0.0.1 --to 203.0.113.9:9";
const NOTE: &str = "udp --bind-device eth1 --bind 10.0.0.1 --to 203.0.113.9:9";
const CONTAINED: &str = "udp --bind-device fab0 --to 10.0.0.2:9";

#[test]
fn sigterm_and_sigint_end_with_the_summary() {
    scenario("service signals", &[], |bench| {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let auditor = bench.audit(&[]);
            bench.send(&format!("{CONTAINED} --count 10"));
            let report = auditor.stop_by(signal);
            assert_eq!(report.stderr, "");
            report.expect().contained("fab0", "fab0", 10).nothing_else();
        }
    });
}

#[test]
fn an_audit_of_a_duration_ends_by_itself() {
    scenario("service duration", &[], |bench| {
        let report = bench.audit(&["--duration", "200ms"]).over();
        assert!(report.summary.duration_s >= 0.2, "{report}");
        report.expect().exit(0).nothing_else();
    });
}

/// Auditors that fail on a leak, on a risk and never, all at once on the same card: none minds the others.
fn failing_differently(bench: &Bench, traffic: &str, check: impl Fn(Report, usize)) {
    let auditors = ["leak", "risk", "never"].map(|on| bench.audit(&["--fail-on", on]));
    bench.send(&format!("{traffic} --count 10"));
    for (place, auditor) in auditors.into_iter().enumerate() {
        check(auditor.stop(), place);
    }
}

#[test]
fn a_leak_fails_what_fails_on_leaks_or_risks() {
    scenario("service fail-on-leak", &[], |bench| {
        failing_differently(bench, LEAK, |report, place| {
            assert_eq!(report.findings.len(), 1, "{report}");
            assert_eq!(report.findings[0].packets, 10, "{report}");
            assert_eq!(report.findings[0].severity, Severity::Leak, "{report}");
            assert_eq!(report.status.code(), Some([2, 2, 0][place]), "{report}");
        });
    });
}

#[test]
fn a_risk_fails_what_fails_on_risks() {
    scenario("service fail-on-risk", &[], |bench| {
        failing_differently(bench, RISK, |report, place| {
            assert_eq!(report.findings.len(), 1, "{report}");
            assert_eq!(report.findings[0].severity, Severity::Risk, "{report}");
            assert_eq!(report.status.code(), Some([0, 2, 0][place]), "{report}");
        });
    });
}

#[test]
fn a_note_fails_nothing() {
    scenario("service fail-on-note", &[], |bench| {
        failing_differently(bench, NOTE, |report, _| {
            let crossed = note("crossed-bind").bound("eth1").egress("eth1");
            let process = report.findings[0].process.as_ref().expect("a sender");
            let pid = process.pid.expect("a number");
            report
                .expect()
                .finding(crossed.packets(10).by_program("pinif-sender", pid))
                .exit(0)
                .nothing_else();
        });
    });
}

/// Frames that say they are IPv4 and are not: they leave, in no socket's flow.
fn send_broken(bench: &Bench, count: usize) {
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 0], &[0x55; 46]].concat();
    let sent = bench.card().run(|| -> std::io::Result<()> {
        let socket = socket::packet_socket(send::index("eth1")?)?;
        (0..count).try_for_each(|_| socket.send(&frame).map(drop))
    });
    sent.expect("the card is there").expect("cannot send");
}

#[test]
fn a_packet_that_cannot_be_read_makes_the_counts_incomplete() {
    scenario("service unparsed", &[], |bench| {
        for on in ["leak", "never"] {
            let mut auditor = bench.audit(&["--fail-on", on]);
            send_broken(bench, 7);
            // Not only at the end.
            auditor.wait_for_line("the loss was reported", |line| {
                line == r#"{"type":"uncounted","reason":"unparsed","number":7}"#
            });
            let report = auditor.stop();
            report
                .expect()
                .contained_unpinned("eth1", 7)
                .lost(Loss::Unparsed, 7)
                .exit(3)
                .nothing_else();
        }
    });
}

#[test]
fn a_leak_is_certain_however_incomplete_the_counts_are() {
    scenario("service unparsed-and-leak", &[], |bench| {
        let auditor = bench.audit(&[]);
        send_broken(bench, 7);
        let sent = bench.send(&format!("{LEAK} --count 10"));
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 7)
            .finding(escape.packets(10).by(&sent))
            .lost(Loss::Unparsed, 7)
            .exit(2)
            .nothing_else();
    });
}

/// An auditor whose reader is this function's caller.
fn read_by_hand(setup: Setup<'_>, format: &str) -> Child {
    let mut command = setup.arguments(["--format", format]).into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("cannot start pinif")
}

/// Waits for the end of an audit whose reader has left: its exit status, and what it complained of.
fn end(mut child: Child) -> (Option<i32>, String) {
    let mut complaints = String::new();
    let stderr = child.stderr.take();
    stderr
        .expect("piped")
        .read_to_string(&mut complaints)
        .expect("UTF-8");
    let status = child.wait().expect("a child");
    (status.code(), complaints)
}

#[test]
fn a_reader_that_leaves_after_the_first_line_ends_an_audit_that_finds_nothing() {
    scenario("service reader-leaves", &[], |bench| {
        let mut child = read_by_hand(bench.auditor(), "json");
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        assert!(line.starts_with(r#"{"type":"ready""#), "{line}");
        drop(reader);
        assert_eq!(end(child), (Some(0), String::new()));
    });
}

#[test]
fn a_reader_that_leaves_after_a_finding_leaves_its_exit_status() {
    scenario("service reader-leaves-leak", &[], |bench| {
        let mut child = read_by_hand(bench.auditor(), "json");
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        bench.send(&format!("{LEAK} --count 10"));
        line.clear();
        reader.read_line(&mut line).expect("a line");
        assert!(line.starts_with(r#"{"type":"finding""#), "{line}");
        drop(reader);
        assert_eq!(end(child), (Some(2), String::new()));
    });
}

#[test]
fn a_reader_that_never_was_ends_the_audit() {
    scenario("service no-reader", &[], |bench| {
        let mut child = read_by_hand(bench.auditor(), "json");
        drop(child.stdout.take());
        assert_eq!(end(child), (Some(0), String::new()));
        let mut child = read_by_hand(bench.auditor(), "human");
        drop(child.stdout.take());
        let (status, said) = end(child);
        assert_eq!(status, Some(0), "{said}");
        assert!(
            said.starts_with("Auditing ") && said.lines().count() == 1,
            "{said}"
        );
    });
}

#[test]
fn an_audit_for_people_that_found_a_risk_ends_as_asked() {
    scenario("service human-end", &[], |bench| {
        let mut pinif = bench
            .auditor()
            .arguments(["--fail-on", "risk"])
            .start_for_people();
        let sent = bench.send(&format!("{RISK} --count 10"));
        pinif.wait_for_line("the finding", |line| {
            line.contains("  risk  address-escape")
        });
        pinif.signal(Signal::SIGINT);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert_eq!(ended.stderr.len(), 1, "{ended:#?}");
        let last = ended.stdout.last().expect("an end");
        assert!(
            last.starts_with("Next: `pinif explain address-escape`"),
            "{ended:#?}"
        );
        let happened = &ended.stdout[ended.stdout.len() - 2];
        assert!(
            happened.starts_with(
                "0 leaks, 1 risk. 10 of 10 packets at risk: source 10.0.0.1 of fab0 left via eth1. Audited for "
            ),
            "{ended:#?}"
        );
        let headline = format!(
            "risk  address-escape  pinif-sender (pid {}), unpinned: UDP to 203.0.113.9:9 left via eth1",
            sent.pid
        );
        let (time, line) = ended.stdout[0].split_once("  ").expect("the time is first");
        assert_eq!(line, headline);
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    });
}
