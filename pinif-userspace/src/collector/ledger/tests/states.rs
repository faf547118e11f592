//! Whether a finding is seen of late, and whether it is accepted.

use pinif_ebpf::verdict::Kind;

use super::*;

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
        (id.0, revision.into(), state.name(), last_seen, packets)
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

fn accepted(expired: bool) -> Option<Arc<Accepted>> {
    Some(Arc::new(Accepted {
        reason: "known".to_owned(),
        until: "2030-12-31".to_owned(),
        expired,
    }))
}

#[test]
fn what_is_accepted_alerts_nobody_and_is_quiet_or_open_afterwards() {
    let mut ledger = ledger();
    let known = Finding {
        accepted: accepted(false),
        ..finding(1)
    };
    let known = ledger.sighted(1, known, moment(0), at(0));
    assert_eq!(
        known.map(|finding| finding.state),
        Some(AlertState::Accepted)
    );
    assert_eq!((ledger.worst(), ledger.accepted()), (None, 1));
    assert_eq!(second(&mut ledger, 1, 5), [(1, 2, "accepted", 1000, 5)]);
    assert_eq!(
        second(&mut ledger, 301, 5),
        [],
        "that it is quiet is no news"
    );
    // Its date is over, without a packet.
    ledger.accept_each(|_, _, growth| {
        assert_eq!(growth, Growth::GoesOn);
        accepted(true)
    });
    assert_eq!(second(&mut ledger, 302, 5), [(1, 3, "quiet", 1000, 5)]);
    assert_eq!(
        (ledger.worst(), ledger.accepted()),
        (Some(Severity::Leak), 0)
    );
    assert_eq!(second(&mut ledger, 303, 6), [(1, 4, "open", 303_000, 6)]);
    ledger.accept_still(&1, |_| panic!("it is not accepted"));
    ledger.accept_each(|_, _, _| accepted(false));
    assert_eq!(
        second(&mut ledger, 304, 6),
        [(1, 5, "accepted", 303_000, 6)]
    );
    ledger.accept_each(|_, _, _| accepted(false));
    assert_eq!(second(&mut ledger, 305, 6), [], "it is the same");
    ledger.accept_still(&1, |_| None);
    assert_eq!(second(&mut ledger, 306, 6), [(1, 6, "open", 303_000, 6)]);
    ledger.close(&1, Samples::default());
    ledger.accept_each(|_, _, growth| {
        assert_eq!(growth, Growth::Over);
        accepted(false)
    });
    assert_eq!((ledger.worst(), ledger.accepted()), (None, 1));
}
