use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use pinif_ebpf::{
    loss::Loss,
    sighting::Count,
    verdict::{CellVerdict, Kind, Severity},
};

use rustix::time::{ClockId, clock_gettime};

use super::*;
use crate::{
    collector::snapshot::example,
    findings::{alert_state::AlertState, ready::Attach},
    hub::{
        series::{
            Dropped, Fill, Left, MOST_DROPPED, MOST_LEFT, MOST_OPENED, MOST_PASSED, OTHER, Opened,
            Passed,
        },
        snapshot::Interface,
    },
};

fn interface(netns: &str, name: &str, refused: Option<&str>) -> Interface {
    Interface {
        netns: netns.to_owned(),
        name: name.to_owned(),
        refused: refused.map(str::to_owned),
    }
}

fn count(packets: u64) -> Count {
    Count {
        packets,
        bytes: packets * 100,
    }
}

/// One of each family.
fn some() -> Snapshot {
    let mut all = Snapshot::empty(1, Attach::Tcx);
    all.time = UNIX_EPOCH + Duration::from_millis(1_700_000_100_500);
    all.started = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    all.policy.loaded = UNIX_EPOCH + Duration::from_secs(1_700_000_050);
    all.enforces = true;
    all.enforcement_asked = true;
    all.interfaces = vec![
        interface("card", "eth1", None),
        interface("card", "fab0", None),
        interface("host", "wg0", Some("no")),
    ];
    let verdict = CellVerdict::Found(Kind::DeviceEscape);
    let left = Left {
        netns: "card".to_owned(),
        zone: "front".to_owned(),
        verdict,
    };
    all.series.left.insert(left, count(3));
    let passed = Passed {
        netns: "card".to_owned(),
        bound_device: "fab0".to_owned(),
        egress_interface: "eth1".to_owned(),
        verdict,
    };
    all.series.passed.insert(passed, count(3));
    let dropped = Dropped {
        netns: "card".to_owned(),
        kind: Kind::PolicyEscape,
    };
    all.series.dropped.insert(dropped, count(2));
    let opened = Opened {
        kind: Kind::PolicyEscape,
        severity: Severity::Leak,
        rule: "control-plane".to_owned(),
    };
    all.series.opened.insert(opened, 1);
    let state = (Severity::Leak, Kind::DeviceEscape, AlertState::Open);
    all.findings = BTreeMap::from([(state, 1)]);
    all.losses = vec![(Loss::CellsFull, 7)];
    all.fills = vec![Fill {
        map: "cells",
        entries: 3,
        capacity: 16_384,
    }];
    all
}

/// Names, labels and types are a contract: what changes here breaks dashboards and alert rules.
#[test]
fn names_and_labels() {
    insta::assert_snapshot!(text(Some(&Arc::new(some())), Form::OpenMetrics));
}

#[test]
fn the_older_format_has_the_same_values() {
    let all = Arc::new(some());
    let values = |form| {
        let text = text(Some(&all), form);
        let mut values: Vec<String> = text.lines().map(str::to_owned).collect();
        values.retain(|line| !line.starts_with('#'));
        values
    };
    let number = |line: String| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse::<f64>().expect("a number"))
    };
    let new: Vec<_> = values(Form::OpenMetrics).into_iter().map(number).collect();
    let old: Vec<_> = values(Form::Text).into_iter().map(number).collect();
    assert_eq!(new, old);
    let old = text(Some(&all), Form::Text);
    assert!(!old.contains("# EOF"), "{old}");
    assert!(
        old.contains("# TYPE pinif_packets_total counter\n"),
        "{old}"
    );
}

#[test]
fn without_an_audit_none_is_ready() {
    let none = text(None, Form::Text);
    let mut values = none.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(values.next(), Some("pinif_ready 0"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        values.next(),
        Some(&*format!("pinif_build_info{{version=\"{version}\"}} 1"))
    );
    assert_eq!(values.next(), None);
}

/// Whoever reads a family with the same labels twice refuses all, and a line that begins in a name is another's.
#[test]
fn a_name_forges_neither_lines_nor_labels() {
    let mut all = some();
    let names = [
        "a\n pinif_ready 0\n",
        "a\"} 9\npinif_enforcing",
        "a\\",
        "\u{202e}b",
        "\\u{202e}b",
        "c\x1b[2J",
    ];
    for name in names {
        let left = Left {
            netns: name.to_owned(),
            zone: name.to_owned(),
            verdict: CellVerdict::Contained,
        };
        all.series.left.insert(left, count(1));
        all.interfaces.push(interface(name, name, None));
    }
    let all = Arc::new(all);
    for form in [Form::OpenMetrics, Form::Text] {
        let text = text(Some(&all), form);
        let mut seen = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (labels, _) = line.rsplit_once(' ').expect("a value");
            assert!(line.starts_with("pinif_"), "{line:?}");
            assert!(seen.insert(labels.to_owned()), "{labels:?} twice");
            assert!(
                !line.contains(crate::text::escape::is_hazardous),
                "{line:?}"
            );
        }
        assert_eq!(text.matches("\npinif_ready ").count(), 1);
        assert_eq!(text.matches("\npinif_enforcing ").count(), 1);
        let same =
            r#"pinif_packets_total{netns="\\u{202e}b",zone="\\u{202e}b",verdict="contained"} 2"#;
        assert!(text.contains(same), "{text}");
    }
}

/// 200 namespaces of five interfaces each, and as many counters as the collector has at most (`collector/series.rs`), whatever came and
/// went: at most 2,000 series.
#[test]
fn all_there_may_be_is_bounded() {
    let mut all = Snapshot::empty(1, Attach::Tcx);
    let verdicts = || Kind::ALL.map(CellVerdict::Found).into_iter();
    let others = || verdicts().chain([CellVerdict::Contained, CellVerdict::Allowed]);
    for number in 0..MOST_LEFT {
        let left = Left {
            netns: format!("ns{number}"),
            zone: String::new(),
            verdict: CellVerdict::Contained,
        };
        all.series.left.insert(left, count(1));
    }
    for number in 0..200 {
        for interface_number in 0..5 {
            let refused = (interface_number == 0).then_some("no");
            let name = format!("veth{interface_number}");
            all.interfaces
                .push(interface(&format!("ns{number}"), &name, refused));
        }
    }
    for verdict in others() {
        let other = || OTHER.to_owned();
        let left = Left {
            netns: other(),
            zone: other(),
            verdict,
        };
        all.series.left.insert(left, count(1));
        let passed = Passed {
            netns: other(),
            bound_device: other(),
            egress_interface: other(),
            verdict,
        };
        all.series.passed.insert(passed, count(1));
    }
    for number in 0..MOST_PASSED {
        let passed = Passed {
            netns: "card".to_owned(),
            bound_device: String::new(),
            egress_interface: format!("veth{number}"),
            verdict: CellVerdict::Contained,
        };
        all.series.passed.insert(passed, count(1));
    }
    for number in 0..MOST_DROPPED {
        let netns = format!("ns{number}");
        let kind = Kind::DeviceEscape;
        all.series.dropped.insert(Dropped { netns, kind }, count(1));
    }
    for number in 0..MOST_OPENED {
        let opened = Opened {
            kind: Kind::PolicyEscape,
            severity: Severity::Leak,
            rule: format!("rule{number}"),
        };
        all.series.opened.insert(opened, 1);
    }
    for kind in Kind::ALL {
        let netns = OTHER.to_owned();
        all.series.dropped.insert(Dropped { netns, kind }, count(1));
        for severity in [Severity::Note, Severity::Risk, Severity::Leak] {
            let rule = OTHER.to_owned();
            let opened = Opened {
                kind,
                severity,
                rule,
            };
            // A kind has one severity or several, and only some are of rules.
            if kind.row().is_of_rule && (kind.row().varies || severity == kind.row().severity) {
                all.series.opened.insert(opened, 1);
            }
        }
    }
    let fill = |map| Fill {
        map,
        entries: 1,
        capacity: 1,
    };
    // More tables than there are.
    all.fills = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
        .map(fill)
        .to_vec();
    let text = text(Some(&Arc::new(all)), Form::Text);
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let series: Vec<_> = series.collect();
    assert!(series.len() <= 2000, "{} series", series.len());
    // Each namespace that has a refused interface is named before those that have none.
    let refused = series
        .iter()
        .filter(|line| line.contains("state=\"refused\"") && !line.ends_with(" 0"));
    assert_eq!(refused.count(), 200);
}

/// What is found beyond the labels that have room is counted under `other`, so that no finding and no packet is missing. An auditor has
/// that many findings where interfaces come and go: the kernel's table holds 16,384 at a time.
#[test]
fn no_number_of_findings_makes_more_series() {
    const FINDINGS: u64 = 65_536;
    let snapshot = example::of_findings(FINDINGS);
    let busy = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let before = busy();
    let text = text(Some(&Arc::new(snapshot())), Form::OpenMetrics);
    let took = busy() - before;
    // Without optimization, and on this processor alone: whatever else the machine does.
    eprintln!("{took:?} for the metrics of {FINDINGS} findings");
    assert!(took < Duration::from_millis(100), "{took:?}");
    let series: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(series.len() <= 2000, "{} series", series.len());
    // There are more than that of what they could be distinguished by.
    assert!(series.len() > 1400, "{} series", series.len());
    let sum = |family: &str| -> u64 {
        let of = series.iter().filter(|line| line.starts_with(family));
        let values = of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        values.sum()
    };
    assert_eq!(sum("pinif_findings{"), FINDINGS);
    assert_eq!(sum("pinif_findings_opened_total{"), FINDINGS);
    let (left, dropped) = (
        sum("pinif_packets_total{"),
        sum("pinif_dropped_packets_total{"),
    );
    assert_eq!(left + dropped, FINDINGS);
    assert_eq!(sum("pinif_interface_packets_total{"), left);
    assert_eq!(sum("pinif_bytes_total{"), left * 60);
}
