mod named;

use std::time::SystemTime;

use pinif_ebpf::verdict::Kind;

use super::*;
use crate::findings::{
    example::finding,
    process::Process,
    samples::{Sampled, SocketSample},
};

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn moment(milliseconds: u64) -> Moment {
    Moment {
        monotonic: at(milliseconds),
        wall: SystemTime::UNIX_EPOCH + at(milliseconds),
    }
}

/// One whose findings are quiet after five minutes.
fn ledger() -> Ledger<i32> {
    Ledger::new(Duration::from_secs(300), 0)
}

/// A finding as it is reported first.
fn first(id: u64) -> Finding {
    Finding {
        revision: 1,
        ..finding(id)
    }
}

fn due(ledger: &mut Ledger<i32>, milliseconds: u64) -> Vec<Finding> {
    let due = ledger.due(at(milliseconds));
    due.map(|due| due.finding).collect()
}

fn rest(ledger: &mut Ledger<i32>) -> Vec<Finding> {
    ledger.rest().map(|due| due.finding).collect()
}

fn count(packets: u64, bytes: u64) -> Count {
    Count { packets, bytes }
}

fn reported(findings: &[Finding]) -> Vec<(u64, u64, u64)> {
    findings
        .iter()
        .map(|f| (f.id.0, f.packets, f.bytes))
        .collect()
}

#[test]
fn the_first_sighting_is_said_at_once_and_only_once() {
    let mut ledger = ledger();
    assert_eq!(
        ledger.sighted(1, finding(1), moment(0), at(0)),
        Some(first(1))
    );
    assert_eq!(ledger.sighted(1, finding(1), moment(1), at(1)), None);
    assert_eq!(due(&mut ledger, 5000), []);
    assert_eq!(rest(&mut ledger), []);
    assert_eq!((ledger.len(), ledger.worst()), (1, Some(Severity::Leak)));
}

#[test]
fn growth_is_said_at_most_once_a_second() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(100), at(100));
    let mut lines = Vec::new();
    for now in (100..=4100).step_by(10) {
        ledger.counted(&1, count(now, now * 60), moment(0));
        lines.extend(due(&mut ledger, now).iter().map(|f| (now, f.packets)));
    }
    assert_eq!(
        lines,
        [(1100, 1100), (2100, 2100), (3100, 3100), (4100, 4100)]
    );
    assert_eq!(rest(&mut ledger), [], "the last line had the last counts");
}

#[test]
fn the_last_counts_are_exact_and_nothing_is_said_twice() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.sighted(2, finding(2), moment(0), at(0));
    ledger.counted(&1, count(999, 59_940), moment(0));
    assert_eq!(reported(&due(&mut ledger, 1000)), [(1, 999, 59_940)]);
    ledger.counted(&1, count(1000, 60_000), moment(0));
    ledger.counted(&1, count(1000, 60_000), moment(0));
    assert_eq!(due(&mut ledger, 1999), []);
    assert_eq!(reported(&rest(&mut ledger)), [(1, 1000, 60_000)]);
    ledger.counted(&1, count(1000, 60_000), moment(0));
    assert_eq!(
        (rest(&mut ledger), due(&mut ledger, 9000), ledger.waits()),
        (vec![], vec![], false)
    );
}

#[test]
fn totals_never_shrink_and_unknown_findings_are_not_taken() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    assert!(ledger.counted(&1, count(10, 600), moment(0)));
    assert!(ledger.counted(&1, count(4, 240), moment(0)));
    assert!(!ledger.counted(&2, count(4, 240), moment(0)));
    assert!(!ledger.contains(&2));
    assert_eq!(reported(&rest(&mut ledger)), [(1, 10, 600)]);
}

#[test]
fn a_second_sighting_of_the_same_finding_brings_its_counts() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    assert_eq!(
        ledger.sighted(
            1,
            Finding {
                packets: 2,
                bytes: 120,
                ..finding(1)
            },
            moment(0),
            at(0)
        ),
        None
    );
    assert_eq!(reported(&due(&mut ledger, 1000)), [(1, 2, 120)]);
}

#[test]
fn nobody_wakes_for_nothing() {
    let mut ledger = ledger();
    assert!(!ledger.waits());
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.sighted(2, finding(2), moment(300), at(300));
    assert!(!ledger.waits());
    ledger.counted(&2, count(2, 120), moment(0));
    ledger.counted(&1, count(2, 120), moment(0));
    assert!(ledger.waits());
    assert_eq!(due(&mut ledger, 999), []);
    assert_eq!(reported(&due(&mut ledger, 1000)), [(1, 2, 120)]);
    assert!(ledger.waits());
    assert_eq!(reported(&due(&mut ledger, 1300)), [(2, 2, 120)]);
    assert!(!ledger.waits());
}

#[test]
fn what_is_learned_late_is_said_and_what_is_not_new_is_not() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    assert!(!ledger.refine(&1, |f| f.causes = Arc::new([])));
    assert!(!ledger.waits());
    let process = Arc::new(Process {
        pid: Some(7),
        started: None,
        comm: "telemetryd".to_owned(),
        exe: None,
        uid: 0,
        cgroup: None,
    });
    assert!(ledger.refine(&1, |f| f.process = Some(process.clone())));
    assert_eq!(
        due(&mut ledger, 1000),
        [Finding {
            process: Some(process),
            revision: 2,
            ..finding(1)
        }]
    );
    assert!(!ledger.refine(&2, |_| ()));
}

#[test]
fn a_closed_finding_keeps_what_it_has_seen_and_its_key_is_anothers() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.counted(&1, count(2, 120), moment(0));
    let samples = Samples {
        sockets: Sampled {
            count: 1,
            more: false,
            samples: vec![SocketSample {
                socket_cookie: 4711,
                packets: 2,
            }],
        },
        ..Samples::default()
    };
    ledger.close(&1, samples.clone());
    assert!(!ledger.contains(&1));
    ledger.sighted(1, finding(2), moment(0), at(0));
    ledger.grown(&1, moment(0));
    let due: Vec<_> = ledger.due(at(1000)).collect();
    let shown = due
        .iter()
        .map(|due| (due.key, due.finding.samples.as_deref()));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [(None, Some(&samples)), (Some(1), None)]
    );
}

#[test]
fn many_that_grow_take_turns() {
    let mut ledger = ledger();
    let many = 2 * REPEATS as i32 + 1;
    for key in 0..many {
        ledger.sighted(key, finding(key as u64), moment(0), at(0));
        ledger.counted(&key, count(2, 120), moment(0));
    }
    let mut reported = Vec::new();
    for second in 1..=3 {
        for finding in due(&mut ledger, second * 1000) {
            reported.push(finding.id);
        }
        // All grow on, and those that were reported come last.
        for key in 0..many {
            ledger.counted(&key, count(2 + second, 120), moment(0));
        }
    }
    reported.truncate(many as usize);
    reported.sort();
    reported.dedup();
    assert_eq!(reported.len(), many as usize);
}

#[test]
fn a_closed_finding_stays_and_the_next_under_its_key_is_another() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.counted(&1, count(10, 600), moment(0));
    assert_eq!(ledger.keys_where(|key| *key == 1), [1]);
    ledger.close(&1, Samples::default());
    assert!(ledger.keys_where(|_| true).is_empty());
    assert!(
        !ledger.counted(&1, count(3, 180), moment(0)),
        "it is not known yet"
    );
    assert_eq!(
        ledger.sighted(1, finding(2), moment(0), at(5)),
        Some(first(2))
    );
    assert!(ledger.counted(&1, count(3, 180), moment(0)));
    assert_eq!(reported(&rest(&mut ledger)), [(1, 10, 600), (2, 3, 180)]);
    assert_eq!(ledger.len(), 2);
}

#[test]
fn what_has_more_samples_is_reported_again_though_nothing_was_counted() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.sampled(&1, 3, moment(0));
    assert!(!ledger.waits());
    ledger.sampled(&1, 5, moment(0));
    assert_eq!(due(&mut ledger, 1000).len(), 1);
    ledger.sampled(&1, 5, moment(0));
    assert!(!ledger.waits());
}

/// What of findings is compared: id, revision, state, when they were last seen (in milliseconds), and packets.
fn lives(due: impl IntoIterator<Item = Due<i32>>) -> Vec<(u64, u64, &'static str, u128, u64)> {
    let life = |due: Due<i32>| {
        let Finding {
            id,
            revision,
            state,
            last_seen,
            packets,
            ..
        } = due.finding;
        let seen_at = due.seen_at;
        assert_eq!(last_seen, (SystemTime::UNIX_EPOCH + seen_at).into());
        let last_seen = seen_at.as_millis();
        (id.0, revision, state.name(), last_seen, packets)
    };
    due.into_iter().map(life).collect()
}

/// A second of the collector: the counter of finding 1 is read, and what is due is reported.
fn second(
    ledger: &mut Ledger<i32>,
    at_second: u64,
    packets: u64,
) -> Vec<(u64, u64, &'static str, u128, u64)> {
    let now = moment(at_second * 1000);
    ledger.counted(&1, count(packets, packets * 60), now);
    ledger.quieten(now.monotonic);
    lives(ledger.due(now.monotonic))
}

#[test]
fn a_finding_without_packets_is_quiet_once_and_open_again_when_it_grows() {
    let mut ledger = Ledger::new(Duration::from_secs(300), 5000);
    let opened = ledger.sighted(1, finding(1), moment(500), at(500));
    assert_eq!(
        opened.map(|finding| (finding.revision, finding.state)),
        Some((5001, AlertState::Open))
    );
    let mut reported = Vec::new();
    for at_second in 1..=2000 {
        let packets = match at_second {
            // It grows until second 60, and again in second 1000.
            0..60 => at_second,
            60..1000 => 60,
            _ => 61,
        };
        let lines = second(&mut ledger, at_second, packets);
        reported.extend(
            lines
                .into_iter()
                .filter(|line| at_second > 58 || line.1 > 9000),
        );
    }
    assert_eq!(
        reported,
        [
            (1, 5059, "open", 59_000, 59),
            (1, 5060, "open", 60_000, 60),
            (1, 5061, "quiet", 60_000, 60),
            (1, 5062, "open", 1_000_000, 61),
            (1, 5063, "quiet", 1_000_000, 61),
        ]
    );
    assert!(!ledger.waits());
}

#[test]
fn it_is_quiet_in_the_first_second_that_is_late_enough_and_not_before() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(500), at(500));
    assert_eq!(second(&mut ledger, 300, 1), []);
    assert_eq!(second(&mut ledger, 301, 1), [(1, 2, "quiet", 500, 1)]);
    // A packet between the last reading and this one.
    let mut ledger = self::ledger();
    ledger.sighted(1, finding(1), moment(500), at(500));
    assert_eq!(second(&mut ledger, 301, 2), [(1, 2, "open", 301_000, 2)]);
    assert_eq!(second(&mut ledger, 600, 2), []);
    assert_eq!(second(&mut ledger, 601, 2), [(1, 3, "quiet", 301_000, 2)]);
}

#[test]
fn one_that_an_earlier_run_saw_last_long_ago_is_quiet_from_the_beginning() {
    let mut ledger = ledger();
    let now = at(400_000);
    let quiet = ledger.sighted(1, finding(1), moment(100_000), now);
    assert_eq!(quiet.map(|finding| finding.state), Some(AlertState::Quiet));
    assert_eq!(second(&mut ledger, 401, 1), [], "it was reported as that");
    assert_eq!(second(&mut ledger, 402, 2), [(1, 2, "open", 402_000, 2)]);
    let mut ledger = self::ledger();
    let open = ledger.sighted(1, finding(1), moment(100_001), now);
    assert_eq!(open.map(|finding| finding.state), Some(AlertState::Open));
    assert_eq!(second(&mut ledger, 401, 1), [(1, 2, "quiet", 100_001, 1)]);
}

#[test]
fn one_that_cannot_grow_any_more_is_quiet_too() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.close(&1, Samples::default());
    ledger.sighted(1, finding(2), moment(200_000), at(200_000));
    ledger.quieten(at(300_000));
    let due: Vec<_> = ledger.due(at(300_000)).collect();
    assert_eq!(due.iter().map(|due| due.key).collect::<Vec<_>>(), [None]);
    assert_eq!(due[0].change, Change::StateChanged);
    assert_eq!(lives(due), [(1, 2, "quiet", 0, 1)]);
}

#[test]
fn what_has_no_packets_is_never_quiet_and_knows_when_it_was_found_last() {
    let mut ledger = ledger();
    let gap = Finding {
        kind: Kind::Unaudited,
        packets: 0,
        ..finding(1)
    };
    ledger.sighted(1, gap, moment(0), at(0));
    ledger.found_again(&1, moment(60_000));
    ledger.quieten(at(1_000_000));
    assert!(!ledger.waits(), "that it is still there is no news");
    ledger.grown(&1, moment(2_000_000));
    let due: Vec<_> = ledger.due(at(2_000_000)).collect();
    assert_eq!(lives(due), [(1, 2, "open", 2_000_000, 0)]);
}

#[test]
fn what_changed_least_does_not_hide_what_changed_most() {
    let mut ledger = ledger();
    ledger.sighted(1, finding(1), moment(0), at(0));
    ledger.quieten(at(300_000));
    ledger.refine(&1, |finding| finding.bytes += 1);
    let changes = ledger.due(at(300_000)).map(|due| due.change);
    assert_eq!(changes.collect::<Vec<_>>(), [Change::StateChanged]);
}
