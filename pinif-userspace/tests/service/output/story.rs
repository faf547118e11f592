//! A card with a backplane fab0 and a front port eth1, and what leaks there.
use std::collections::BTreeMap;

use pinif_ebpf::verdict::{Kind, Severity};
use pinif_userspace::findings::explain::{Cause, CauseKind, Circumstance, Route, cause_text};
use pinif_userspace::findings::finding::{
    Attach, Cell, Direction, Finding, FindingId, Origin, Process, Ready, Summary,
};
use pinif_userspace::findings::samples::{
    DestinationSample, ProcessSample, Sampled, Samples, SocketSample,
};
use pinif_userspace::findings::subject::Subject;

pub fn ready() -> Ready {
    Ready {
        interfaces: ["eth1", "fab0", "lo"].map(str::to_owned).to_vec(),
        netns: vec!["card".to_owned()],
        kernel: "6.18.44".to_owned(),
        attach: Attach::Tcx,
        enforce: false,
        version: "0.1.0".to_owned(),
    }
}

fn process(pid: u32, comm: &str) -> Option<Process> {
    Some(Process {
        pid,
        comm: comm.to_owned(),
        exe: Some(format!("/usr/sbin/{comm}")),
        uid: 0,
        cgroup: Some(format!("/system.slice/{comm}.service")),
    })
}

fn subject(comm: &str) -> Option<Subject> {
    Some(Subject::Program {
        exe: Some(format!("/usr/sbin/{comm}")),
        uid: Some(0),
        cgroup: Some(format!("/system.slice/{comm}.service")),
    })
}

/// One process with one socket, which sends to one destination.
fn samples(
    pid: u32,
    comm: &str,
    socket_cookie: u64,
    (protocol, destination): (&str, &str),
    packets: u64,
) -> Samples {
    fn one<T>(sample: T) -> Sampled<T> {
        Sampled {
            count: 1,
            more: false,
            samples: vec![sample],
        }
    }
    Samples {
        processes: one(ProcessSample {
            pid,
            comm: Some(comm.to_owned()),
            packets,
        }),
        sockets: one(SocketSample {
            socket_cookie,
            packets,
        }),
        destinations: one(DestinationSample {
            protocol: protocol.to_owned(),
            destination: destination.to_owned(),
            packets,
        }),
    }
}

/// A socket bound to fab0 whose `IP_PKTINFO` names eth1.
pub fn device_escape() -> Finding {
    let causes = [Cause::certain(CauseKind::PktinfoOverride)];
    let words = Circumstance {
        protocol: "udp",
        source: "10.0.0.1:40000",
        destination: "10.0.0.2:5000",
        process: Some("telemetryd"),
        bound_device: Some("fab0"),
        causes: &causes,
        ..Circumstance::new(Kind::DeviceEscape, "eth1")
    };
    Finding {
        id: FindingId(0x7d1a_5c0f_fee1).to_string(),
        time: "2026-03-01T12:00:00.125042Z".to_owned(),
        kind: Kind::DeviceEscape,
        severity: Severity::Leak,
        rule: None,
        netns: "card".to_owned(),
        direction: Direction::Out,
        bound_device: Some("fab0".to_owned()),
        bound_address: None,
        egress_interface: "eth1".to_owned(),
        protocol: words.protocol.to_owned(),
        source: words.source.to_owned(),
        destination: words.destination.to_owned(),
        packets: 1,
        bytes: 66,
        socket_cookie: Some(4711),
        process: process(4242, "telemetryd"),
        subject: subject("telemetryd"),
        samples: samples(
            4242,
            "telemetryd",
            4711,
            (words.protocol, words.destination),
            1,
        ),
        cause: cause_text(&causes),
        explanation: words.explanation(),
        remedy: words.remedy(),
        origin: Origin::Socket,
        dropped: false,
    }
}

/// The same, dropped.
pub fn dropped_escape() -> Finding {
    let told = device_escape();
    let words = Circumstance {
        protocol: "udp",
        destination: "10.0.0.2:5000",
        process: Some("telemetryd"),
        bound_device: Some("fab0"),
        dropped: true,
        ..Circumstance::new(Kind::DeviceEscape, "eth1")
    };
    Finding {
        id: FindingId(0x3f86_d7a2_2a77).to_string(),
        explanation: words.explanation(),
        dropped: true,
        ..told
    }
}

/// A socket bound to fab0's address, routed out of eth1.
pub fn address_escape() -> Finding {
    let causes = [Cause::certain(CauseKind::Route(Route {
        prefix: "0.0.0.0/0".to_owned(),
        via: Some("192.0.2.2".to_owned()),
        device: Some("eth1".to_owned()),
        table: "main".to_owned(),
        ..Route::default()
    }))];
    let words = Circumstance {
        protocol: "tcp",
        source: "10.0.0.1:51344",
        destination: "203.0.113.9:443",
        process: Some("updated"),
        source_owner: Some("fab0"),
        causes: &causes,
        ..Circumstance::new(Kind::AddressEscape, "eth1")
    };
    Finding {
        id: FindingId(0x02b3_99a0_4c17).to_string(),
        time: "2026-03-01T12:00:01.500381Z".to_owned(),
        kind: Kind::AddressEscape,
        severity: Severity::Risk,
        bound_device: None,
        bound_address: Some("10.0.0.1".to_owned()),
        protocol: words.protocol.to_owned(),
        source: words.source.to_owned(),
        destination: words.destination.to_owned(),
        packets: 1,
        bytes: 74,
        socket_cookie: Some(4712),
        process: process(4243, "updated"),
        subject: subject("updated"),
        samples: samples(
            4243,
            "updated",
            4712,
            (words.protocol, words.destination),
            1,
        ),
        cause: cause_text(&causes),
        explanation: words.explanation(),
        remedy: words.remedy(),
        ..device_escape()
    }
}

pub fn cell(bound: Option<&str>, egress: &str, packets: u64, bytes: u64) -> Cell {
    Cell {
        netns: "card".to_owned(),
        bound_device: bound.map(str::to_owned),
        egress_interface: egress.to_owned(),
        packets,
        bytes,
        verdict: None,
        origin: Origin::Socket,
        carried: false,
        dropped: false,
    }
}

pub fn of(cell: Cell, finding: &Finding) -> Cell {
    Cell {
        verdict: Some(finding.kind),
        dropped: finding.dropped,
        ..cell
    }
}

pub fn summary(matrix: Vec<Cell>, findings: u64) -> Summary {
    let (dropped, left): (Vec<&Cell>, Vec<&Cell>) = matrix.iter().partition(|cell| cell.dropped);
    Summary {
        duration_s: 10.002,
        packets: left.iter().map(|cell| cell.packets).sum(),
        bytes: left.iter().map(|cell| cell.bytes).sum(),
        dropped: dropped.iter().map(|cell| cell.packets).sum(),
        matrix,
        findings,
        uncounted: BTreeMap::new(),
    }
}

pub fn enforced_summary() -> Summary {
    let matrix = vec![
        cell(Some("fab0"), "fab0", 11_203, 1_120_300),
        of(cell(Some("fab0"), "eth1", 1040, 68_640), &dropped_escape()),
        cell(None, "fab0", 60, 5880),
        of(cell(None, "eth1", 12, 5180), &address_escape()),
        cell(None, "eth1", 30, 2940),
    ];
    summary(matrix, 2)
}

pub fn leaking_summary() -> Summary {
    let matrix = vec![
        cell(Some("fab0"), "fab0", 11_203, 1_120_300),
        of(cell(Some("fab0"), "eth1", 1040, 68_640), &device_escape()),
        cell(None, "fab0", 60, 5880),
        of(cell(None, "eth1", 12, 5180), &address_escape()),
        cell(None, "eth1", 30, 2940),
        Cell {
            origin: Origin::None,
            ..cell(None, "eth1", 9, 450)
        },
    ];
    summary(matrix, 2)
}
