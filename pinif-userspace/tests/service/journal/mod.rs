//! The auditor as a service: what it reports to the service manager, and the journal.

mod entries;
mod journald;
mod listener;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::bench::{Pinif, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10";
const RISK: &str = "udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 10";
const NOTE: &str = "udp --bind-device eth1 --bind 10.0.0.1 --to 203.0.113.9:9 --count 10";

/// The next message to the service manager that is one of these: `READY`.
fn message(manager: &UnixDatagram, names: &[&str]) -> String {
    loop {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("no message");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if names
            .iter()
            .any(|name| text.starts_with(&format!("{name}=")))
        {
            return text;
        }
    }
}

fn manager(path: &Path) -> UnixDatagram {
    let manager = UnixDatagram::bind(path).expect("a socket");
    let limit = Some(pinif_lab::patience(Duration::from_secs(60)));
    manager.set_read_timeout(limit).expect("a socket");
    manager
}

#[test]
fn the_service_manager_learns_of_the_beginning_the_state_and_the_end() {
    scenario("service notify", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = manager(&path);
        let auditor = bench.auditor().environment("NOTIFY_SOCKET", &path).start();
        assert_eq!(message(&manager, &["READY", "STOPPING"]), "READY=1\n");
        let ends_with = |wanted: &str| {
            let text = message(&manager, &["STATUS", "STOPPING"]);
            let of_how_many = text.strip_prefix("STATUS=Auditing ").expect(&text);
            // Some kernels give each namespace a tunnel's device of its own.
            let (_three_or_more, rest) = of_how_many.split_once(" interfaces. ").expect(&text);
            assert_eq!(rest, format!("{wanted}\n"));
        };
        ends_with("No finding.");
        bench.send(LEAK);
        ends_with("1 leak.");
        bench.send(RISK);
        ends_with("1 leak, 1 risk.");
        let report = auditor.stop();
        assert_eq!(message(&manager, &["READY", "STOPPING"]), "STOPPING=1\n");
        assert_eq!(report.findings.len(), 2, "{report}");
    });
}

/// The names of all messages to the service manager up to the last.
fn names_to_the_end(manager: &UnixDatagram) -> Vec<String> {
    let mut names = Vec::new();
    while names.last().is_none_or(|last| last != "STOPPING") {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("no message");
        let text = String::from_utf8_lossy(&buffer[..length]);
        let assignments = text.lines().filter_map(|line| line.split_once('='));
        names.extend(assignments.map(|(name, _)| name.to_owned()));
    }
    names
}

#[test]
fn the_watchdog_of_this_process_and_no_other_is_notified() {
    scenario("service watchdog", &[], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = manager(&path);
        let start = || {
            let setup = bench.auditor().environment("NOTIFY_SOCKET", &path);
            setup.environment("WATCHDOG_USEC", "2000000")
        };
        let auditor = start().start();
        for _ in 0..3 {
            assert!(message(&manager, &["WATCHDOG"]).starts_with("WATCHDOG=1\n"));
        }
        auditor.stop();
        names_to_the_end(&manager);

        let auditor = start().environment("WATCHDOG_PID", "1").start();
        // The first snapshot: it would be the watchdog's time.
        message(&manager, &["STATUS"]);
        auditor.stop();
        let names = names_to_the_end(&manager);
        assert!(!names.iter().any(|name| name == "WATCHDOG"), "{names:?}");
    });
}

#[test]
fn a_finding_has_the_priority_that_fits_it() {
    scenario("service journal", &[], |bench| {
        let mut pinif = bench.auditor().start_in_journal();
        let [leak, risk, note] = [LEAK, RISK, NOTE].map(|traffic| bench.send(traffic));
        for (priority, kind) in [
            ("<2>leak", "device-escape"),
            ("<4>risk", "address-escape"),
            ("<5>note", "crossed-bind"),
        ] {
            let line = pinif.wait_for_note(kind);
            assert!(line.starts_with(&format!("{priority} {kind}: ")), "{line}");
        }
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
        assert!(ended.stdout.is_empty(), "{ended:#?}");
        assert!(
            ended.stderr.iter().all(|line| {
                ["<2>", "<4>", "<5>", "<6>"].contains(&&line[..3]) && !line[3..].starts_with('<')
            }),
            "{ended:#?}"
        );
        for (sender, line) in [
            (
                &leak,
                "<6>leak device-escape: pinif-sender (pid {}), bound to fab0: 10 packets, ",
            ),
            (
                &risk,
                "<6>risk address-escape: pinif-sender (pid {}), unpinned: 10 packets, ",
            ),
            (
                &note,
                "<6>note crossed-bind: pinif-sender (pid {}), bound to eth1: 10 packets, ",
            ),
        ] {
            let line = line.replace("{}", &sender.pid.to_string());
            assert!(
                ended.stderr.iter().any(|said| said.starts_with(&line)),
                "{line}\n{ended:#?}"
            );
        }
        let last = format!(
            "<6>1 leak, 1 risk, 1 note. 10 of 30 packets left where they must not: pinif-sender (pid {}), bound to fab0, left via \
             eth1. 10 of 30 packets at risk: source 10.0.0.1 of fab0 left via eth1.",
            leak.pid
        );
        assert_eq!(ended.stderr.last(), Some(&last), "{ended:#?}");
    });
}

#[test]
fn json_stays_on_standard_output_beside_the_journal() {
    scenario("service journal-json", &[], |bench| {
        let setup = bench.auditor().arguments(["--format", "json"]);
        let mut pinif = Pinif::start_in_journal(setup.into_command());
        pinif.wait_for_line("it was ready", |_| true);
        pinif.signal(Signal::SIGHUP);
        let line = pinif.wait_for_note("policy");
        assert_eq!(line, "<6>there is no policy to read again");
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert_eq!(ended.stderr.len(), 1, "{ended:#?}");
        assert_eq!(ended.stdout.len(), 2, "{ended:#?}");
    });
}

#[test]
fn another_stream_than_the_journals_has_no_priorities() {
    scenario("service journal-elsewhere", &[], |bench| {
        let mut pinif = bench
            .auditor()
            .environment("JOURNAL_STREAM", "1:1")
            .start_for_people();
        bench.send(LEAK);
        pinif.wait_for_line("the finding", |line| {
            line.contains("Z  leak  device-escape")
        });
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert!(ended.stderr[0].starts_with("Auditing "), "{ended:#?}");
    });
}

#[test]
fn what_keeps_a_service_from_starting_is_an_error_in_the_journal() {
    let audit = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(["audit", "--netns", "no-such-card"]);
        let ended = Pinif::start_in_journal({
            command.args(arguments);
            command
        })
        .end();
        assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
        assert!(ended.stdout.is_empty(), "{ended:#?}");
        ended.stderr
    };
    let said = audit(&[]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("<3>there is no network namespace `no-such-card`"),
        "{said:?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.toml");
    fs::write(&file, "[zone.a]\ninterfaces = 1\nx = 1\n").expect("a policy");
    let path = file.to_str().expect("UTF-8");
    let said = audit(&["--policy", path]);
    assert_eq!(
        said,
        [
            format!(
                "<3>{path}:2:14: `interfaces` takes text in quotes, or a list of it, not a number; write it as in \
                 `interfaces = [\"fab*\"]`"
            ),
            format!(
                "<3>{path}:3:1: unknown key `x` in a zone; a zone has `interfaces`, `contained`"
            ),
        ]
    );
}
