//! When a finding was last seen, and its state, over the collectors of one auditor.

use std::time::{Duration, SystemTime};

use pinif_userspace::findings::{alert_state::AlertState, line::FindingLine};

use super::place::Place;
use crate::bench::{leak, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
const QUIET_AFTER: &[&str] = &["--quiet-after", "1s"];

fn moment(text: &str) -> SystemTime {
    let timestamp: jiff::Timestamp = text.parse().expect("a moment");
    let microseconds = u64::try_from(timestamp.as_microsecond()).expect("it is after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_micros(microseconds)
}

/// How far apart two moments are that are the same on the kernel's clock, and were put on the wall clock at different times.
fn apart(one: &FindingLine, other: &FindingLine) -> Duration {
    let (one, other) = (moment(&one.last_seen), moment(&other.last_seen));
    let later = other.duration_since(one);
    later.unwrap_or_else(|earlier| earlier.duration())
}

#[test]
fn a_finding_that_was_quiet_is_quiet_for_the_next_collector() {
    scenario("persist quiet", &[], |bench| {
        let place = Place::new();
        let mut first = place.audit(bench, QUIET_AFTER);
        let one = bench.send(&format!("{LEAK} --count 10"));
        let quiet = first.wait_for_finding_that("it is quiet", |finding| {
            finding.state == AlertState::Quiet && finding.packets == 10
        });
        let began = first.kill();

        let mut second = place.audit(bench, QUIET_AFTER).since(&began);
        let again = second.wait_for_finding("device-escape");
        assert_eq!(
            (&again.uid, again.state, again.packets),
            (&quiet.uid, AlertState::Quiet, 10)
        );
        assert!(again.revision > quiet.revision, "{quiet:?} {again:?}");
        let apart = apart(&quiet, &again);
        assert!(apart < Duration::from_millis(500), "{apart:?}");
        let first = second.kill();

        // What is sent while no collector runs was seen at the latest when the next one reads its counter.
        let two = bench.send(&format!("{LEAK} --count 5"));
        let sent = SystemTime::now();
        let mut third = place.audit(bench, QUIET_AFTER).since(&first);
        let grown = third.wait_for_finding("device-escape");
        assert_eq!(
            (&grown.uid, grown.state, grown.packets),
            (&quiet.uid, AlertState::Open, 15)
        );
        assert!(moment(&grown.last_seen) >= sent, "{grown:?}");
        assert!(grown.revision > again.revision, "{again:?} {grown:?}");
        let escape = || leak("device-escape").bound("fab0").egress("eth1");
        let report = third.stop();
        report
            .expect()
            .finding(escape().packets(10).by(&one))
            .finding(escape().packets(5).by(&two))
            .nothing_else();
    });
}
