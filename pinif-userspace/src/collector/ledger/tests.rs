mod named;
mod states;

use std::time::SystemTime;

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
