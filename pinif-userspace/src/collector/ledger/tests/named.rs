//! Findings that are named in another.

use super::*;

fn related(finding: &Finding) -> Vec<(u64, u64)> {
    let related = finding.related().iter();
    related.map(|one| (one.id.0, one.packets)).collect()
}

#[test]
fn what_is_named_in_a_finding_is_none_of_its_own() {
    let mut ledger = ledger();
    for id in [1, 2] {
        ledger.sighted(id, finding(id as u64), moment(0), at(0));
    }
    let (whole, part) = (ledger.place(&1).expect("one"), ledger.place(&2));
    let part = part.expect("the other");
    ledger.withhold(part);
    ledger.relate(part, Some(whole));
    assert_eq!((ledger.len(), ledger.worst()), (1, Some(Severity::Leak)));
    let own: Vec<_> = ledger.own().map(|(place, _)| place).collect();
    assert_eq!(own, [whole]);
    let lines = due(&mut ledger, 1000);
    assert_eq!(reported(&lines), [(1, 1, 60)]);
    assert_eq!(related(&lines[0]), [(2, 1)]);
    ledger.counted(&2, count(7, 420), moment(1500));
    let lines = due(&mut ledger, 2000);
    assert_eq!(related(&lines[0]), [(2, 7)], "it grows with its part");
    assert_eq!(reported(&lines), [(1, 1, 60)]);
    assert_eq!(related(&ledger.finding_at(whole)), [(2, 7)]);
    // It is not of the same connections after all.
    ledger.relate(part, None);
    let due: Vec<_> = ledger.rest().collect();
    let lines: Vec<_> = due.iter().map(|due| due.finding.clone()).collect();
    assert_eq!(reported(&lines), [(1, 1, 60), (2, 7, 420)]);
    let changes = [due[0].change, due[1].change];
    assert_eq!(changes, [Change::Grew, Change::Opened]);
    assert!(lines.iter().all(|finding| finding.connection.is_none()));
    assert_eq!(ledger.len(), 2);
}

#[test]
fn what_was_reported_before_is_said_to_be_named_in_another() {
    let mut ledger = ledger();
    for id in [1, 2, 3] {
        ledger.sighted(id, finding(id as u64), moment(0), at(0));
    }
    let [first, second, third] = [1, 2, 3].map(|id| ledger.place(&id).expect("it is there"));
    ledger.relate(third, Some(second));
    ledger.relate(second, Some(first));
    let lines = rest(&mut ledger);
    let mut parts: Vec<_> = lines
        .iter()
        .map(|finding| (finding.id.0, finding.part_of().map(|whole| whole.0)))
        .collect();
    parts.sort_unstable();
    assert_eq!(parts, [(1, None), (2, Some(1)), (3, Some(1))]);
    ledger.counted(&3, count(9, 540), moment(1));
    let lines = rest(&mut ledger);
    assert_eq!(
        reported(&lines),
        [(1, 1, 60)],
        "the others are none any more"
    );
    assert_eq!(related(&lines[0]), [(2, 1), (3, 9)]);
}

/// The finding goes on while what answers it does.
#[test]
fn a_finding_is_open_while_what_is_named_in_it_grows() {
    let mut ledger = ledger();
    for id in [1, 2] {
        ledger.sighted(id, finding(id as u64), moment(0), at(0));
    }
    let [whole, part] = [1, 2].map(|id| ledger.place(&id).expect("it is there"));
    ledger.withhold(part);
    ledger.relate(part, Some(whole));
    ledger.counted(&2, count(2, 120), moment(299_000));
    ledger.quieten(at(301_000));
    assert!(ledger.quiet_at().is_some());
    let lines = due(&mut ledger, 301_000);
    assert_eq!(lines[0].state, AlertState::Open);
    ledger.quieten(at(599_000));
    let lines = due(&mut ledger, 599_000);
    assert_eq!((lines.len(), lines[0].state), (1, AlertState::Quiet));
    assert!(
        ledger.quiet_at().is_none(),
        "nothing is to be read for it each second"
    );
    ledger.counted(&2, count(3, 180), moment(700_000));
    assert!(ledger.quiet_at().is_some());
    let lines = due(&mut ledger, 700_000);
    assert_eq!((lines.len(), lines[0].state), (1, AlertState::Open));
    assert_eq!(related(&lines[0]), [(2, 3)]);
}
