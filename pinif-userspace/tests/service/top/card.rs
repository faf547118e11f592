//! What an auditor of the card answers, as `output/story.rs` has it.

use pinif_ebpf::verdict::{Kind, Severity};
use pinif_userspace::control::protocol::{
    AttachmentCheck, CheckedBy, FindingCount, InterfaceStatus, MatrixNow, PolicyNow, PolicySource,
    PolicyStatus, Reader, Status,
};
use pinif_userspace::findings::alert_state::AlertState;
use pinif_userspace::findings::finding::Finding;
use pinif_userspace::findings::line::FindingLine;
use pinif_userspace::findings::process::Process;
use pinif_userspace::findings::ready::Attach;
use pinif_userspace::findings::summary::{Cell, GradedCell, Totals};
use pinif_userspace::policy::described::{Described, DescribedRule, DescribedZone};
use pinif_userspace::surfaces::top::{Fetched, Findings, Sockets};
use pinif_userspace::survey::{Risk, Socket};

use crate::output::{stage, story};

/// When the card's counts begin.
const STARTED: &str = "2026-03-01T12:00:00.000000Z";

/// The card's findings, the gravest first, after so many seconds.
pub fn findings(seconds: u64) -> Vec<FindingLine> {
    let grown = |finding: &Finding, packets| {
        FindingLine::from(&stage::grown(finding, packets, 66 * packets))
    };
    vec![
        grown(&story::device_escape(), 1 + 104 * seconds),
        grown(&story::address_escape(), 1 + 3 * seconds),
    ]
}

/// The matrix after so many seconds.
pub fn matrix(seconds: u64) -> Vec<GradedCell> {
    let cell = |bound, egress, packets| story::cell(bound, egress, packets, 66 * packets);
    let graded = |cell: Cell, severity| GradedCell { cell, severity };
    vec![
        graded(cell(Some("fab0"), "fab0", 1120 * seconds), None),
        graded(
            story::of(
                cell(Some("fab0"), "eth1", 1 + 104 * seconds),
                &story::device_escape(),
            ),
            Some(Severity::Leak),
        ),
        graded(cell(None, "fab0", 60), None),
        graded(
            story::of(
                cell(None, "eth1", 1 + 3 * seconds),
                &story::address_escape(),
            ),
            Some(Severity::Risk),
        ),
        graded(cell(None, "eth1", 30), None),
    ]
}

fn source() -> PolicySource {
    PolicySource {
        path: Some("/etc/pinif/policy.toml".into()),
        digest: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned()),
        loaded: STARTED.to_owned(),
        failure: None,
    }
}

fn policy() -> PolicyNow {
    PolicyNow {
        source: source(),
        described: Described {
            zones: vec![DescribedZone {
                name: "backplane".to_owned(),
                interfaces: vec!["fab*".to_owned()],
                contained: true,
            }],
            rules: vec![DescribedRule {
                name: "control-plane".to_owned(),
                matches: [("destination".to_owned(), vec!["10.0.0.0/8".to_owned()])].into(),
                only_via: vec!["backplane".to_owned()],
                pinned: true,
                action: None,
            }],
        },
    }
}

/// How the auditor is after so many seconds.
pub fn status(seconds: u64) -> Status {
    let count = |severity, kind| FindingCount {
        severity,
        kind,
        state: AlertState::Open,
        number: 1,
    };
    let interfaces = ["eth1", "fab0", "lo"].map(|name| InterfaceStatus {
        netns: "card".to_owned(),
        name: name.to_owned(),
        refused: None,
    });
    Status {
        version: "0.1.0".to_owned(),
        pid: 812,
        run: "5e2f0a54-9d1c-4a8e-8a53-3f6f0c1d2b7e".to_owned(),
        boot: "0c6b8f0e-4f0f-4d5b-9d4e-6a3a7c1f9e21".to_owned(),
        host: None,
        labels: Default::default(),
        seq: seconds,
        time: format!("2026-03-01T12:00:{seconds:02}.000000Z"),
        started: STARTED.to_owned(),
        started_monotonic_ns: 7_000_000_000,
        attach: Attach::Tcx,
        attachment_check: AttachmentCheck {
            by: CheckedBy::Event,
            because: Vec::new(),
        },
        enforces: false,
        incomplete: Vec::new(),
        policy: PolicyStatus {
            source: source(),
            zones: 1,
            rules: 1,
        },
        interfaces: interfaces.to_vec(),
        totals: Totals::of(matrix(seconds).iter().map(|graded| &graded.cell)),
        uncounted: Default::default(),
        capture: None,
        findings: vec![
            count(Severity::Leak, Kind::DeviceEscape),
            count(Severity::Risk, Kind::AddressEscape),
        ],
        worst: findings(seconds),
        readers: vec![Reader {
            pid: Some(4711),
            uid: 1000,
            follows: false,
        }],
    }
}

/// The card's sockets, those at the greatest risk first.
pub fn sockets() -> Sockets {
    let socket = |risk: Risk, local: &str, leaves: Option<&str>, comm: &str, why: &str| Socket {
        netns: "card".into(),
        socket_cookie: 1,
        risk: risk.name().into(),
        severity: risk.severity().map(|severity| severity.name().into()),
        why: why.to_owned().into(),
        protocol: "udp".into(),
        state: "unconnected".into(),
        local: Some(local.to_owned().into()),
        remote: None,
        bound_device: None,
        leaves_by: leaves.map(|name| name.to_owned().into()),
        leaves_by_any_of: Vec::new().into(),
        default_interface: None,
        route: None,
        may_name_an_interface: false,
        uid: Some(0),
        processes: vec![Process {
            pid: Some(640),
            started: None,
            comm: comm.to_owned(),
            exe: None,
            uid: 0,
            cgroup: None,
        }]
        .into(),
    };
    let first = vec![
        Socket {
            remote: Some("203.0.113.9:9".into()),
            state: "connected".into(),
            ..socket(
                Risk::Misrouted,
                "10.0.0.1:40001",
                Some("eth1"),
                "telemetryd",
                "10.0.0.1 is fab0's; route default via 192.0.2.2 dev eth1 in table main",
            )
        },
        Socket {
            default_interface: Some("eth1".into()),
            ..socket(
                Risk::DefaultRoute,
                "0.0.0.0:7003",
                None,
                "fabricd",
                "nothing binds it; what has no route of its own leaves via eth1",
            )
        },
        Socket {
            bound_device: Some("fab0".into()),
            ..socket(
                Risk::Pinned,
                "0.0.0.0:7001",
                Some("fab0"),
                "fabricd",
                "it is bound to fab0",
            )
        },
    ];
    Sockets {
        total: first.len() as u64,
        first,
        unlisted_raw: 0,
        refused: None,
    }
}

/// All that can be fetched after so many seconds.
pub fn fetched(seconds: u64) -> Fetched {
    let status = status(seconds);
    let first = findings(seconds);
    Fetched {
        matrix: Some(MatrixNow {
            seq: status.seq,
            time: status.time.clone(),
            started: status.started.clone(),
            totals: status.totals,
            matrix: matrix(seconds),
        }),
        findings: Some(Findings {
            filter: String::new(),
            total: first.len() as u64,
            first,
        }),
        finding: None,
        sockets: Some(sockets()),
        policy: Some(policy()),
        status,
    }
}
