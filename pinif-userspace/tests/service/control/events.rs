//! What happens, as it happens.

use std::io::{BufRead as _, BufReader, Write as _};

use nix::sys::signal::Signal;
use pinif_userspace::control::{Client, Events, EventsFilter, protocol::EventLine};
use procfs::process::Process;

use super::asked::{LEAK, Place, run};
use crate::bench::{Pinif, scenario};

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

/// The collector writes the lines itself: no other thread of the auditor is woken for them, and `pinif findings --follow` asks for nothing
/// while nothing comes.
#[test]
fn a_follower_wakes_nobody_but_the_collector() {
    scenario("control follower's thread", &[], |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, &[]);
        bench.send(&format!("{LEAK} --count 3"));
        let mut follower = Pinif::start(place.pinif("findings --follow --format json"));
        follower.wait_for_line("the finding", |line| line.contains("device-escape"));
        run(async {
            let filter = EventsFilter {
                alive: Some(true),
                ..snapshots()
            };
            let mut events = follow(&place, filter).await;
            let (mut pid, mut snapshots, mut woken) = (0, 0, Vec::new());
            // The connection of the first questions is closed ten seconds after them.
            while woken.len() < 6 && !is_still(&woken) {
                match events.next().await.expect("a line") {
                    Some(EventLine::Status(status)) => {
                        pid = status.pid;
                        snapshots += 1;
                    }
                    Some(EventLine::Alive) => woken.push(woken_of(pid, "control socket")),
                    Some(EventLine::Finding(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
            assert!(snapshots > 5 && woken[0] > 0, "{snapshots}, {woken:?}");
            assert!(is_still(&woken), "{woken:?}");
        });
        follower.signal(Signal::SIGINT);
        assert_eq!(follower.end().status.code(), Some(0));
        auditor.stop();
    });
}

/// Whether the last two are the same.
fn is_still(counts: &[u64]) -> bool {
    matches!(counts, [.., before, last] if before == last)
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
