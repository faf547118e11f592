//! What happens, as it happens.

use std::io::{BufRead as _, BufReader, Write as _};

use pinif_userspace::control::{Client, Events, EventsFilter, protocol::EventLine};
use procfs::process::Process;

use super::asked::{LEAK, Place, run};
use crate::bench::scenario;

/// The events of the auditor that listens at a place.
async fn follow(place: &Place, filter: EventsFilter) -> Events {
    let client = Client::find(Some(place.path())).expect("a path");
    client.events(&filter).await.expect("events")
}

/// All of them, and snapshots.
fn snapshots() -> EventsFilter {
    EventsFilter {
        snapshots: Some(true),
        ..EventsFilter::default()
    }
}

#[test]
fn events_begin_with_the_state_and_end_with_the_summary() {
    scenario("control events", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        run(async {
            let filter = EventsFilter {
                severity: Some("leak".to_owned()),
                ..EventsFilter::default()
            };
            let mut events = follow(&place, filter).await;
            let first = events.next().await.expect("a line");
            assert!(matches!(first, Some(EventLine::Status(_))), "{first:?}");
            // The risk is not asked for.
            bench.send("udp --bind 10.0.0.1 --to 203.0.113.9:9 --count 2");
            let sent = bench.send(&format!("{LEAK} --count 5"));
            let Some(EventLine::Finding(finding)) = events.next().await.expect("a line") else {
                panic!("no finding");
            };
            assert_eq!(finding.kind.name(), "device-escape");
            assert_eq!(
                finding.process.and_then(|process| process.pid),
                Some(sent.pid)
            );
            let report = auditor.stop();
            assert_eq!(report.findings.len(), 2, "{report}");
            let (mut packets, mut findings) = (0, None);
            while let Some(line) = events.next().await.expect("a line") {
                match line {
                    EventLine::Finding(finding) => packets = finding.packets,
                    EventLine::Summary(summary) => findings = Some(summary.findings),
                    other => panic!("{other:?}"),
                }
            }
            assert!(packets == 5 || packets == 0, "{packets}");
            assert_eq!(findings, Some(2), "the last line is the summary");
        });
    });
}

#[test]
fn snapshots_come_only_where_they_are_asked_for() {
    scenario("control snapshots", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        run(async {
            let mut events = follow(&place, snapshots()).await;
            let mut last = 0;
            for _ in 0..3 {
                let Some(EventLine::Status(status)) = events.next().await.expect("a line") else {
                    panic!("no state");
                };
                assert!(status.seq > last, "{} after {last}", status.seq);
                last = status.seq;
            }
        });
        auditor.stop();
    });
}

/// The collector writes the lines itself: no other thread of the auditor is woken for them.
#[test]
fn a_follower_wakes_nobody_but_the_collector() {
    scenario("control follower's thread", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        run(async {
            let mut events = follow(&place, snapshots()).await;
            let mut woken = Vec::new();
            while woken.len() < 4 {
                let line = events.next().await.expect("a line");
                if let Some(EventLine::Status(status)) = line {
                    woken.push(woken_of(status.pid, "control socket"));
                }
            }
            assert!(woken[1] > 0, "it has answered");
            assert_eq!(woken[1], woken[3], "{woken:?}");
        });
        auditor.stop();
    });
}

/// How often a thread of a process was woken, having waited (`voluntary_ctxt_switches` of proc_pid_status(5)).
fn woken_of(pid: u32, thread: &str) -> u64 {
    let process = Process::new(pid.cast_signed()).expect("it runs");
    let tasks = process.tasks().expect("threads").filter_map(Result::ok);
    let mut named = tasks.filter_map(|task| task.status().ok());
    let status = named.find(|status| status.name == thread);
    status
        .and_then(|status| status.voluntary_ctxt_switches)
        .expect("the thread")
}

#[test]
fn server_sent_events_are_written_where_they_are_wanted() {
    scenario("control server-sent events", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        let mut stream = place.connect();
        stream
            .write_all(
                b"GET /v1/events HTTP/1.1\r\nHost: pinif\r\nAccept: text/event-stream\r\n\r\n",
            )
            .expect("it is taken");
        let mut lines = BufReader::new(stream)
            .lines()
            .map(|line| line.expect("a line"));
        assert!(lines.any(|line| line == "content-type: text/event-stream"));
        assert!(lines.any(|line| line == "event: status"));
        let data = lines.next().expect("a line");
        assert!(data.starts_with("data: {\"type\":\"status\","), "{data}");
        assert_eq!(lines.next().as_deref(), Some(""));
        auditor.stop();
    });
}
