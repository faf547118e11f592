use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    verdict::Severity,
};

use super::*;
use crate::findings::example;

fn key(egress: u32, kind: Option<Kind>) -> CellKey {
    CellKey {
        netns: NetNsCookie(1),
        egress: IfIndex(egress),
        kind: kind.map_or(0, |kind| kind as u8),
        ..CellKey::default()
    }
}

fn count(packets: u64) -> Count {
    Count {
        packets,
        bytes: packets * 100,
    }
}

/// Labels by an interface's number, in a zone.
fn in_zone(zone: &str) -> impl Fn(&CellKey) -> Labels {
    move |key| Labels {
        netns: "card".to_owned(),
        zone: zone.to_owned(),
        bound_device: String::new(),
        egress_interface: format!("eth{}", key.egress.0),
        verdict: CellVerdict::from_number(key.kind),
        carried: key.carried != 0,
        dropped: key.dropped != 0,
    }
}

fn begun() -> Growing {
    let mut growing = Growing::default();
    growing.begin([], []);
    growing
}

fn left(growing: &Growing) -> Vec<(&str, u64, u64)> {
    let left = growing.series().left.iter();
    left.map(|(left, count)| (&*left.zone, count.packets, count.bytes))
        .collect()
}

fn passed(growing: &Growing) -> Vec<(&str, u64)> {
    let passed = growing.series().passed.iter();
    passed
        .map(|(passed, count)| (&*passed.egress_interface, count.packets))
        .collect()
}

#[test]
fn what_was_counted_stays_where_it_was_counted() {
    let mut growing = begun();
    growing.grown(&[(key(1, None), count(5))], in_zone("front"));
    // The same interface, in another zone and under another name.
    let renamed = |key: &CellKey| Labels {
        egress_interface: "wan0".to_owned(),
        ..in_zone("back")(key)
    };
    growing.grown(&[(key(1, None), count(7))], renamed);
    growing.grown(&[(key(1, None), count(7))], in_zone("front"));
    assert_eq!(left(&growing), [("back", 2, 200), ("front", 5, 500)]);
    assert_eq!(passed(&growing), [("eth1", 5), ("wan0", 2)]);
}

#[test]
fn what_was_archived_before_is_counted_once() {
    let mut growing = Growing::default();
    // Nobody has asked.
    growing.grown(&[(key(1, None), count(9))], in_zone("front"));
    assert_eq!(growing.series(), &Series::default());
    assert!(!growing.is_asked_for());
    let before = Labels {
        egress_interface: "gone".to_owned(),
        ..in_zone("front")(&key(1, None))
    };
    growing.begin([(before, count(10))], [(key(1, None), count(10))]);
    growing.grown(&[(key(1, None), count(13))], in_zone("front"));
    assert!(growing.is_asked_for());
    assert_eq!(passed(&growing), [("eth1", 3), ("gone", 10)]);
    assert_eq!(left(&growing), [("front", 13, 1300)]);
}

#[test]
fn carried_packets_left_once_and_dropped_ones_never() {
    let mut growing = begun();
    let carried = CellKey {
        carried: 1,
        ..key(2, None)
    };
    let dropped = CellKey {
        dropped: 1,
        ..key(3, Some(Kind::DeviceEscape))
    };
    let cells = [
        (key(1, None), count(4)),
        (carried, count(4)),
        (dropped, count(6)),
    ];
    growing.grown(&cells, in_zone(""));
    assert_eq!(left(&growing), [("", 4, 400)]);
    assert_eq!(passed(&growing), [("eth1", 4), ("eth2", 4)]);
    let label = Dropped {
        netns: "card".to_owned(),
        kind: Kind::DeviceEscape,
    };
    assert_eq!(
        growing.series().dropped,
        BTreeMap::from([(label, count(6))])
    );
}

/// The sum stays, whatever has no counter of its own; and what was found has one before what is contained.
#[test]
fn no_number_of_interfaces_and_namespaces_makes_more_counters() {
    let mut growing = begun();
    let labels = |key: &CellKey| Labels {
        netns: format!("ns{}", key.egress.0 % 300),
        ..in_zone("")(key)
    };
    for round in 1..4 {
        let mut cells: Vec<_> = (0..3000)
            .map(|egress| (key(egress, None), count(u64::from(round * (egress + 1)))))
            .collect();
        cells.push((key(1, Some(Kind::DeviceEscape)), count(round.into())));
        growing.grown(&cells, labels);
        let series = growing.series();
        let all = series.passed.values().map(|count| count.packets);
        assert_eq!(all.sum::<u64>(), u64::from(round * (3000 * 3001 / 2 + 1)));
        assert!(series.passed.len() <= 1000, "{}", series.passed.len());
        assert!(series.left.len() <= 211, "{}", series.left.len());
        let leaks = series.passed.iter();
        let mut leaks = leaks.filter(|(passed, _)| passed.verdict.kind().is_some());
        let leak = leaks
            .next()
            .map(|(passed, count)| (&*passed.netns, count.packets));
        assert_eq!(leak, Some(("ns1", round.into())));
    }
    let other = growing.series().passed.iter();
    let mut other = other.filter(|(passed, _)| passed.egress_interface == OTHER);
    assert!(
        other
            .next()
            .is_some_and(|(passed, _)| passed.netns == OTHER)
    );
}

#[test]
fn a_finding_is_counted_once_over_all_instances() {
    let mut growing = Growing::default();
    let finding = example::finding(1);
    let opened = Opened {
        kind: finding.kind,
        severity: Severity::Leak,
        rule: String::new(),
    };
    growing.was_opened(finding.id, opened.clone());
    growing.was_opened(finding.id, opened.clone());
    growing.opened(&finding);
    assert_eq!(growing.series().opened.get(&opened), Some(&1));
    growing.opened(&example::finding(2));
    assert_eq!(growing.series().opened.get(&opened), Some(&2));
}

#[test]
fn what_may_come_is_there_at_zero_as_far_as_there_is_room() {
    let mut growing = Growing::default();
    growing.may_break(["control-plane"]);
    growing.may_break(["control-plane"]);
    let opened = growing.series().opened.iter();
    let opened: Vec<_> = opened
        .map(|(opened, number)| (opened.kind.name(), &*opened.rule, *number))
        .collect();
    let of_rules = ["policy-escape", "unpinned", "ingress-escape"];
    assert_eq!(opened, of_rules.map(|kind| (kind, "control-plane", 0)));
    growing.may_drop(["host", "host"]);
    let kinds = Kind::ALL.into_iter();
    let droppable = kinds.filter(|kind| kind.row().dropped != verdict::Dropped::Never);
    assert_eq!(growing.series().dropped.len(), droppable.count());
    let many: Vec<_> = (0..5000).map(|number| format!("n{number}")).collect();
    growing.may_drop(many.iter().map(String::as_str));
    growing.may_break(many.iter().map(String::as_str));
    assert_eq!(growing.series().dropped.len(), MOST_DROPPED);
    assert_eq!(growing.series().opened.len(), MOST_OPENED);
}
