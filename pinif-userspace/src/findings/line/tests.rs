use pinif_ebpf::verdict::CellVerdict;
use proptest::{prelude::*, sample};

use super::*;
use crate::{
    findings::{
        explain::{SocketOption, Who},
        ready::{Attach, PolicySize},
        samples::{DestinationSample, ProcessSample, Sampled, SocketSample},
        subject::KernelPacket,
        summary::Cell,
    },
    text::json,
};

/// A line of this text in every field that is a text.
fn finding(text: &str, kind: Kind, severity: Severity, subject: Option<Subject>) -> FindingLine {
    let text = || text.to_owned();
    FindingLine {
        id: "a549f0330649".to_owned(),
        time: text(),
        kind,
        severity,
        rule: Some(text()),
        netns: text(),
        bound_device: Some(text()),
        bound_address: None,
        egress_interface: text(),
        direction: PacketDirection::In,
        protocol: text(),
        source: text(),
        destination: text(),
        packets: u64::MAX,
        bytes: u64::MAX,
        socket_cookie: Some(u64::MAX),
        process: Some(Process {
            pid: Some(7),
            started: None,
            comm: text(),
            exe: Some(text()),
            uid: u32::MAX,
            cgroup: None,
        }),
        cause: text(),
        explanation: text(),
        remedy: text(),
        remedies: vec![Step {
            who: Who::Operator,
            text: text(),
            commands: vec![text()],
            options: vec![SocketOption {
                name: text(),
                value: Some(text()),
            }],
        }],
        also: vec![Also {
            kind,
            rule: Some(text()),
        }],
        subject,
        samples: Samples {
            processes: Sampled {
                samples: vec![ProcessSample {
                    pid: Some(7),
                    comm: None,
                    packets: 1,
                }],
                ..sampled_of(1)
            },
            sockets: Sampled {
                samples: vec![SocketSample {
                    socket_cookie: u64::MAX,
                    packets: 1,
                }],
                ..sampled_of(1)
            },
            destinations: Sampled {
                samples: vec![DestinationSample {
                    protocol: text(),
                    destination: text(),
                    packets: 1,
                }],
                more: true,
                ..sampled_of(17)
            },
        },
        origin: SentBy::Kernel,
        dropped: true,
        uid: Some(text()),
        revision: u64::MAX,
        state: AlertState::Quiet,
        accepted: Some(Accepted {
            reason: text(),
            until: text(),
            expired: true,
        }),
        first_seen: text(),
        last_seen: text(),
        related: vec![RelatedLine {
            id: "a549f0330650".to_owned(),
            kind,
            severity,
            rule: Some(text()),
            bound_device: Some(text()),
            egress_interface: text(),
            direction: PacketDirection::In,
            protocol: text(),
            source: text(),
            destination: text(),
            subject: None,
            packets: u64::MAX,
            bytes: u64::MAX,
        }],
        part_of: Some(text()),
        latent: None,
        r#if: None,
    }
}

fn sampled_of<T>(count: u64) -> Sampled<T> {
    Sampled {
        count,
        more: false,
        samples: Vec::new(),
    }
}

fn subjects(text: &str) -> Vec<Option<Subject>> {
    let text = || text.to_owned();
    let mut all = vec![
        None,
        Some(Subject::Program {
            exe: Some(text()),
            uid: None,
            cgroup: Some(text()),
        }),
        Some(Subject::Forwarded {
            interface: text(),
            protocol: None,
        }),
        Some(Subject::Receiver {
            address: None,
            protocol: text(),
        }),
        Some(Subject::OtherPrograms { uid: 7 }),
        Some(Subject::Others),
    ];
    let kernel = [
        KernelPacket::NotIp,
        KernelPacket::TcpReset,
        KernelPacket::Icmp,
        KernelPacket::NeighbourDiscovery,
        KernelPacket::GroupMembership,
        KernelPacket::Tunnel,
        KernelPacket::Other,
    ];
    all.extend(kernel.map(|what| {
        Some(Subject::Kernel {
            what,
            address: Some(text()),
            protocol: Some(text()),
        })
    }));
    all
}

fn read_back(line: &Line<'_>) -> Line<'static> {
    let text = json::line(line).expect("JSON");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

proptest! {
    /// What is written is read as it was, whatever is in it.
    #[test]
    fn a_line_that_was_written_is_read_as_the_same(
        text in any::<String>(),
        kind in sample::select(&Kind::ALL[..]),
        severity in sample::select(&names::SEVERITIES[..]),
    ) {
        for subject in subjects(&text) {
            let happened = finding(&text, kind, severity, subject);
            let foreseen = FindingLine {
                latent: Some(true),
                r#if: Some(text.clone()),
                ..happened.clone()
            };
            for line in [happened, foreseen] {
                let line = Line::Finding(Box::new(line));
                prop_assert_eq!(&read_back(&line), &line);
            }
        }
    }
}

#[test]
fn lines_of_every_type_are_read() {
    let cell = |verdict| Cell {
        netns: "card".to_owned(),
        bound_device: None,
        egress_interface: "eth1".to_owned(),
        packets: 1,
        bytes: 60,
        verdict,
        origin: SentBy::Socket,
        carried: false,
        dropped: false,
    };
    let mut matrix = vec![cell(CellVerdict::Contained), cell(CellVerdict::Allowed)];
    matrix.extend(Kind::ALL.map(|kind| cell(CellVerdict::Found(kind))));
    for line in [
        Line::Ready(Cow::Owned(Ready {
            enter: Default::default(),

            interfaces: vec!["eth1".to_owned()],
            netns: vec!["card".to_owned()],
            kernel: "6.18".to_owned(),
            attach: Attach::Clsact,
            enforce: true,
            policy: None,
            version: "0.1.0".to_owned(),
            run: "2f1c6a52-90cb-4f4e-9d63-8a5b6f0c7e11".to_owned(),
            boot: None,
            host: Some("0123456789abcdef0123456789abcdef".to_owned()),
            labels: [("slot".to_owned(), "3".to_owned())].into(),
        })),
        Line::Summary(Cow::Owned(Summary {
            duration_s: 0.1,
            packets: 9,
            bytes: 540,
            dropped: 0,
            matrix,
            findings: 0,
            accepted: 0,
            policy: PolicySize::of(2, 1),
            uncounted: [("unparsed".to_owned(), 1)].into(),
        })),
        Line::Uncounted(Uncounted {
            reason: "unparsed".to_owned(),
            number: 1,
        }),
        Line::Lost(Lost { lines: 3 }),
    ] {
        assert_eq!(read_back(&line), line);
    }
    let unknown = serde_json::from_str::<Line<'_>>("{\"type\":\"weather\",\"rain\":true}");
    assert_eq!(unknown.expect("JSON"), Line::Unknown);
    assert!(json::line(&Line::Unknown).is_err(), "it is only read");
}

#[test]
fn findings_are_distinguished_from_other_lines() {
    let other = FindingLine::read("{\"type\":\"summary\",\"packets\":1}");
    assert_eq!(other.expect("JSON"), None);
    for line in ["", "leak", "{}", "{\"type\":\"finding\"}", "[1]"] {
        assert!(FindingLine::read(line).is_err(), "{line}");
    }
}

#[test]
fn a_line_of_an_older_version_has_what_it_lacks_by_default() {
    let old = "{\"type\":\"finding\",\"id\":\"a549f0330649\",\"time\":\"2026-03-01T12:00:00.125042Z\",\
        \"kind\":\"unpinned\",\"severity\":\"risk\",\"netns\":\"card\",\"egress_interface\":\"eth1\",\"protocol\":\"udp\",\
        \"source\":\"\",\"destination\":\"\",\"packets\":1,\"bytes\":60,\"cause\":\"\",\"explanation\":\"\",\"remedy\":\"\",\
        \"origin\":\"socket\"}";
    let read = FindingLine::read(old).expect("JSON").expect("a finding");
    assert_eq!(
        (read.direction, read.dropped, read.samples, read.subject),
        (PacketDirection::Out, false, Samples::default(), None)
    );
    assert_eq!(
        (read.uid, read.revision, read.state),
        (None, 0, AlertState::Open)
    );
    for (field, bad) in [("unpinned", "unpinnned"), ("risk", "grave")] {
        let error = FindingLine::read(&old.replace(field, bad)).expect_err("there is none such");
        assert!(error.to_string().contains(bad), "{error}");
    }
}
