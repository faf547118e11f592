use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::findings::example;

const NOW: u64 = 1_700_000_100;

fn line() -> FindingLine {
    let line = FindingLine::from(&example::finding(7));
    FindingLine {
        uid: Some(format!("boot/{}", line.id)),
        protocol: "udp".to_owned(),
        source: "10.0.0.1:40000".to_owned(),
        destination: "[fd00::1]:53".to_owned(),
        packets: 7,
        bytes: 700,
        revision: 3,
        first_seen: "2023-11-14T22:13:20.000001Z".to_owned(),
        last_seen: "2023-11-14T22:13:21.000000Z".to_owned(),
        process: Some(Process {
            pid: Some(4242),
            started: None,
            comm: "telemetryd".to_owned(),
            exe: Some("/usr/bin/telemetryd".to_owned()),
            uid: 65_534,
            cgroup: Some("/system.slice".to_owned()),
        }),
        cause: "a route".to_owned(),
        remedy: "another".to_owned(),
        explanation: "It left.".to_owned(),
        ..line
    }
}

fn of(line: FindingLine, changes: &[Change]) -> LogRecord {
    let behind = Behind::example(line, changes);
    record(&behind, UNIX_EPOCH + Duration::from_secs(NOW))
}

fn value<'a>(record: &'a LogRecord, key: &str) -> Option<&'a Value> {
    let attribute = record
        .attributes
        .iter()
        .find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

fn shown(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => panic!("none of ours: {other:?}"),
    }
}

#[test]
fn all_that_is_known_has_its_name() {
    let record = of(line(), &[Change::Opened]);
    let all: Vec<_> = record
        .attributes
        .iter()
        .filter_map(|attribute| {
            let value = attribute.value.as_ref()?.value.as_ref()?;
            Some((&*attribute.key, shown(value)))
        })
        .collect();
    let expected = [
        ("log.record.uid", "boot/000000000007/3"),
        ("pinif.finding.uid", "boot/000000000007"),
        ("pinif.finding.id", "000000000007"),
        ("pinif.kind", "device-escape"),
        ("pinif.severity", "leak"),
        ("pinif.state", "open"),
        ("pinif.netns", "card"),
        ("pinif.bound_device", "fab0"),
        ("network.interface.name", "eth1"),
        ("network.io.direction", "transmit"),
        ("pinif.protocol", "udp"),
        ("network.transport", "udp"),
        ("pinif.cause", "a route"),
        ("pinif.remedy", "another"),
        ("pinif.first_seen", "2023-11-14T22:13:20.000001Z"),
        ("pinif.last_seen", "2023-11-14T22:13:21.000000Z"),
        ("source.address", "10.0.0.1"),
        ("source.port", "40000"),
        ("destination.address", "fd00::1"),
        ("destination.port", "53"),
        ("process.executable.path", "/usr/bin/telemetryd"),
        ("process.executable.name", "telemetryd"),
        ("process.linux.cgroup", "/system.slice"),
        ("pinif.process.comm", "telemetryd"),
        ("process.pid", "4242"),
        ("process.user.id", "65534"),
        ("pinif.finding.revision", "3"),
        ("pinif.packets", "7"),
        ("pinif.bytes", "700"),
        ("pinif.dropped", "false"),
    ];
    assert_eq!(all, expected.map(|(key, value)| (key, value.to_owned())));
    assert_eq!(record.event_name, "pinif.finding.opened");
    assert_eq!(record.time_unix_nano, 1_700_000_000_000_001_000);
    assert_eq!(record.observed_time_unix_nano, NOW * 1_000_000_000);
    assert_eq!(
        (record.severity_number(), &*record.severity_text),
        (SeverityNumber::Error2, "leak")
    );
    let body = record.body.and_then(|body| body.value);
    assert_eq!(body, Some(Value::StringValue("It left.".to_owned())));
}

#[test]
fn what_became_of_it_names_the_event_and_says_when_it_was() {
    let last = 1_700_000_001_000_000_000;
    for (changes, name, time) in [
        (
            &[Change::Opened, Change::Quiet][..],
            "opened",
            1_700_000_000_000_001_000,
        ),
        (&[Change::Grew], "grew", last),
        (&[Change::Reopened], "reopened", last),
        (&[], "updated", last),
        (&[Change::Quiet], "quiet", 0),
        (&[Change::Accepted], "accepted", 0),
        (&[Change::Joined], "joined", 0),
    ] {
        let record = of(line(), changes);
        assert_eq!(record.event_name, format!("pinif.finding.{name}"));
        assert_eq!(record.time_unix_nano, time, "{name}");
    }
    let accepted = FindingLine {
        state: AlertState::Accepted,
        ..line()
    };
    assert_eq!(
        of(accepted, &[Change::Accepted]).severity_number(),
        SeverityNumber::Info
    );
}

#[test]
fn an_address_without_a_port_is_one() {
    let icmp = FindingLine {
        protocol: "icmp".to_owned(),
        source: "fd00::2".to_owned(),
        destination: String::new(),
        ..line()
    };
    let record = of(icmp, &[]);
    let source = value(&record, "source.address");
    assert_eq!(source, Some(&Value::StringValue("fd00::2".to_owned())));
    for key in [
        "source.port",
        "destination.address",
        "destination.port",
        "network.transport",
    ] {
        assert_eq!(value(&record, key), None, "{key}");
    }
}

/// Whoever shows a record shows its texts as they are.
#[test]
fn names_that_others_chose_are_safe_to_show() {
    let evil = "a\nPRIORITY=0\u{1b}[2J\u{202e}<script>=HYPERLINK(\0";
    let hostile = FindingLine {
        netns: evil.to_owned(),
        egress_interface: evil.to_owned(),
        bound_device: Some(evil.to_owned()),
        rule: Some(evil.to_owned()),
        explanation: evil.to_owned(),
        process: Some(Process {
            pid: None,
            started: None,
            comm: evil.to_owned(),
            exe: Some(evil.to_owned()),
            uid: 0,
            cgroup: Some(evil.to_owned()),
        }),
        ..line()
    };
    let record = of(hostile, &[Change::Opened]);
    let values = record
        .attributes
        .iter()
        .filter_map(|attribute| attribute.value.as_ref());
    let mut texts = 0;
    for value in values.chain(&record.body) {
        if let Some(Value::StringValue(text)) = &value.value {
            texts += 1;
            assert_eq!(visible(text), *text);
            assert!(!text.contains(['\n', '\u{1b}', '\u{202e}', '\0']), "{text}");
        }
    }
    assert!(texts > 20, "{texts}");
}
