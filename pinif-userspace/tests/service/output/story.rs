//! A card with a backplane fab0 and a front port eth1, and what leaks there.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pinif_ebpf::{
    key::SocketCookie,
    verdict::{CellVerdict, Kind},
};
use pinif_userspace::findings::explain::{Cause, CauseKind, PacketInfo, Route};
use pinif_userspace::findings::finding::{Finding, FindingId, Place, SentBy};
use pinif_userspace::findings::flow::{Endpoint, Flow};
use pinif_userspace::findings::process::Process;
use pinif_userspace::findings::ready::{Attach, Ready};
use pinif_userspace::findings::samples::{
    DestinationSample, ProcessSample, Sampled, Samples, SocketSample,
};
use pinif_userspace::findings::subject::Subject;
use pinif_userspace::findings::summary::{Cell, Summary};
use pinif_userspace::findings::ways::{ChosenBy, Reach, Way, Ways};
use pinif_userspace::host::namespaces::Enter;

/// The boot of the card.
const BOOT: &str = "c6c2a1de-7f9b-4b1c-8a57-3d0f9e6b2a14";

pub fn ready() -> Ready {
    Ready {
        enter: Enter::Named("card".into()),
        interfaces: ["eth1", "fab0", "lo"].map(str::to_owned).to_vec(),
        netns: vec!["card".to_owned()],
        kernel: "6.18.44".to_owned(),
        attach: Attach::Tcx,
        enforce: false,
        policy: None,
        version: "0.1.0".to_owned(),
        run: "0b6f4f4e-5d0c-4c3a-9d8e-2f4f5a1c7b90".to_owned(),
        boot: Some(BOOT.to_owned()),
        host: Some("4d1f0c6b2a9e4f7c8b3d5e6f7a8b9c0d".to_owned()),
        labels: [("chassis", "A"), ("slot", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

fn process(pid: u32, comm: &str) -> Option<Arc<Process>> {
    Some(Arc::new(Process {
        pid: Some(pid),
        started: None,
        comm: comm.to_owned(),
        exe: Some(format!("/usr/sbin/{comm}")),
        uid: 0,
        cgroup: Some(format!("/system.slice/{comm}.service")),
    }))
}

fn subject(comm: &str) -> Option<Arc<Subject>> {
    Some(Arc::new(Subject::Program {
        exe: Some(format!("/usr/sbin/{comm}").into()),
        uid: Some(0),
        cgroup: Some(format!("/system.slice/{comm}.service").into()),
    }))
}

fn place(bound_device: Option<&str>, source_owner: Option<&str>) -> Arc<Place> {
    Arc::new(Place {
        boot: Some(BOOT.into()),
        netns: "card".into(),
        enter: Enter::Named("card".into()),
        interface: Some("eth1".into()),
        bound_device: bound_device.map(Into::into),
        source_owner: source_owner.map(Into::into),
        contained_zone: None,
        contained_interface: None,
        rule: None,
    })
}

/// A packet to an address and port from fab0's address.
fn flow(protocol: u8, port: u16, address: [u8; 4], destination_port: u16) -> Option<Flow> {
    let end = |address: [u8; 4], port| Endpoint::new(address.into(), Some(port));
    Some(Flow {
        protocol,
        source: end([10, 0, 0, 1], port),
        destination: end(address, destination_port),
    })
}

/// A moment of the audit, so long after noon.
pub fn noon(microseconds: u64) -> SystemTime {
    const NOON: u64 = 1_772_366_400;
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOON) + Duration::from_micros(microseconds)
}

/// One process with one socket, which sends to one destination.
fn samples(
    pid: u32,
    comm: &str,
    socket_cookie: u64,
    (protocol, destination): (&str, &str),
    packets: u64,
) -> Option<Arc<Samples>> {
    fn one<T>(sample: T) -> Sampled<T> {
        Sampled {
            count: 1,
            more: false,
            samples: vec![sample],
        }
    }
    Some(Arc::new(Samples {
        processes: one(ProcessSample {
            pid: Some(pid),
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
    }))
}

/// A socket bound to fab0 whose `IP_PKTINFO` names eth1.
pub fn device_escape() -> Finding {
    Finding {
        revision: 73_402,
        causes: Arc::new([Cause::certain(CauseKind::PktinfoOverride(PacketInfo::V4))]),
        flow: flow(17, 40000, [10, 0, 0, 2], 5000),
        packets: 1,
        bytes: 66,
        socket: Some(SocketCookie(4711)),
        process: process(4242, "telemetryd"),
        subject: subject("telemetryd"),
        samples: samples(4242, "telemetryd", 4711, ("udp", "10.0.0.2:5000"), 1),
        ..Finding::new(
            FindingId(0x7d1a_5c0f_fee1),
            Kind::DeviceEscape,
            place(Some("fab0"), None),
            noon(125_042),
        )
    }
}

/// The same, dropped.
pub fn dropped_escape() -> Finding {
    Finding {
        id: FindingId(0x3f86_d7a2_2a77),
        dropped: true,
        ..device_escape()
    }
}

/// A socket bound to fab0's address, routed out of eth1.
pub fn address_escape() -> Finding {
    let route = CauseKind::Route(Route {
        prefix: "0.0.0.0/0".parse().expect("a prefix"),
        via: Some([192, 0, 2, 2].into()),
        device: Some("eth1".to_owned()),
        table: "main".to_owned(),
        ..Route::default()
    });
    Finding {
        revision: 73_402,
        causes: Arc::new([Cause::certain(route)]),
        ways: Arc::new(Ways {
            home: vec![Way {
                silent: None,
                holds: false,
                is_for_unbound: false,
                interface: "fab0".into(),
                reach: Reach::Nowhere,
                source: Some([10, 0, 0, 1].into()),
                network: "203.0.113.9/32".parse().expect("a network"),
                instead: Vec::new(),
                table: None,
            }],
            source: Some([192, 0, 2, 1].into()),
            is_led_there: true,
            is_right_without: true,
            chosen_by: ChosenBy::Program,
            ..Ways::default()
        }),
        flow: flow(6, 51344, [203, 0, 113, 9], 443),
        bound_address: Some([10, 0, 0, 1].into()),
        packets: 1,
        bytes: 74,
        socket: Some(SocketCookie(4712)),
        process: process(4243, "updated"),
        subject: subject("updated"),
        samples: samples(4243, "updated", 4712, ("tcp", "203.0.113.9:443"), 1),
        ..Finding::new(
            FindingId(0x02b3_99a0_4c17),
            Kind::AddressEscape,
            place(None, Some("fab0")),
            noon(1_500_381),
        )
    }
}

/// The same finding at another place.
pub fn at(finding: &Finding, amend: impl FnOnce(&mut Place)) -> Finding {
    let mut place = Place::clone(&finding.place);
    amend(&mut place);
    Finding {
        place: Arc::new(place),
        ..finding.clone()
    }
}

pub fn cell(bound: Option<&str>, egress: &str, packets: u64, bytes: u64) -> Cell {
    Cell {
        netns: "card".to_owned(),
        bound_device: bound.map(str::to_owned),
        egress_interface: egress.to_owned(),
        packets,
        bytes,
        verdict: CellVerdict::Contained,
        origin: SentBy::Socket,
        carried: false,
        dropped: false,
    }
}

pub fn of(cell: Cell, finding: &Finding) -> Cell {
    Cell {
        verdict: CellVerdict::Found(finding.kind),
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
        accepted: 0,
        policy: None,
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
            origin: SentBy::None,
            ..cell(None, "eth1", 9, 450)
        },
    ];
    summary(matrix, 2)
}
