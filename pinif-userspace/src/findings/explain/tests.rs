//! The words of findings.

mod arrivals;
mod egress;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use pinif_ebpf::{
    key::IfIndex,
    verdict::{Kind, KindSet},
};

use super::{causes::text as cause_text, words::OF_AN_EARLIER_POLICY, *};
use crate::{
    findings::{
        finding::{Finding, FindingId, Place, Rule, SentBy},
        flow::{Endpoint, Flow},
        line::{FindingLine, Line},
        process::Process,
        removal::{Part, Removal},
        subject::{KernelPacket, Subject},
    },
    host::arp_flux::ArpFlux,
    kernel::direction::TcDirection,
    text::json,
};

const DESTINATION: &str = "203.0.113.9:5000";

/// The facts of a finding, in short.
#[derive(Clone, Copy)]
struct Circumstance<'a> {
    kind: Kind,
    also: &'a [Kind],
    protocol: u8,
    source: &'a str,
    destination: &'a str,
    origin: SentBy,
    process: Option<&'a str>,
    bound_device: Option<&'a str>,
    bound_address: Option<&'a str>,
    egress_interface: &'a str,
    source_owner: Option<&'a str>,
    contained_zone: Option<&'a str>,
    rule: Option<&'a str>,
    only_via: &'a [&'a str],
    only_via_interfaces: &'a [&'a str],
    alerts: bool,
    dropped: bool,
    causes: &'a [Cause],
}

impl<'a> Circumstance<'a> {
    /// One of which nothing else is known.
    const fn new(kind: Kind, egress_interface: &'a str) -> Self {
        Self {
            kind,
            also: &[],
            protocol: 17,
            source: "",
            destination: "",
            origin: SentBy::Socket,
            process: None,
            bound_device: None,
            bound_address: None,
            egress_interface,
            source_owner: None,
            contained_zone: None,
            rule: None,
            only_via: &[],
            only_via_interfaces: &[],
            alerts: false,
            dropped: false,
            causes: &[],
        }
    }

    fn finding(&self) -> Finding {
        let name = |name: &str| -> Arc<str> { name.into() };
        let names = |all: &[&str]| all.iter().copied().map(name).collect();
        let place = Place {
            netns: name("card"),
            interface: Some(name(self.egress_interface)),
            bound_device: self.bound_device.map(name),
            source_owner: self.source_owner.map(name),
            contained_zone: self.contained_zone.map(name),
            rule: self.rule.map(|rule| Rule {
                name: Some(name(rule)),
                only_via: names(self.only_via),
                interfaces: names(self.only_via_interfaces),
                alerts: self.alerts,
            }),
            ..Place::default()
        };
        let mut also = KindSet::default();
        self.also.iter().for_each(|&kind| also.insert(kind));
        let flow = endpoint(self.source).zip(endpoint(self.destination));
        let now = SystemTime::UNIX_EPOCH;
        Finding {
            also,
            origin: self.origin,
            dropped: self.dropped,
            bound_address: self.bound_address.and_then(|address| address.parse().ok()),
            causes: self.causes.into(),
            flow: flow.map(|(source, destination)| Flow {
                protocol: self.protocol,
                source,
                destination,
            }),
            process: self.process.map(|comm| {
                Arc::new(Process {
                    pid: Some(7),
                    started: Some(1),
                    comm: comm.to_owned(),
                    exe: None,
                    uid: 0,
                    cgroup: None,
                })
            }),
            ..Finding::new(FindingId(7), self.kind, Arc::new(place), now)
        }
    }

    fn explanation(&self) -> String {
        explanation(&self.finding())
    }

    fn remedy(&self) -> String {
        remedy(&self.finding())
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let with_port = text
        .parse::<std::net::SocketAddr>()
        .map(|end| Endpoint::new(end.ip(), Some(end.port())));
    let alone = || text.parse().map(|address| Endpoint::new(address, None));
    with_port.or_else(|_| alone()).ok()
}

fn circumstance(kind: Kind) -> Circumstance<'static> {
    Circumstance {
        source: "10.0.0.1:40000",
        destination: DESTINATION,
        process: Some("telemetryd"),
        ..Circumstance::new(kind, "eth1")
    }
}

fn default_route() -> CauseKind {
    CauseKind::Route(Route {
        prefix: "0.0.0.0/0".parse().expect("a prefix"),
        via: Some([192, 0, 2, 2].into()),
        device: Some("eth1".to_owned()),
        table: "main".to_owned(),
        ..Route::default()
    })
}

#[test]
fn what_was_dropped_did_not_leave() {
    let zones = ["backplane"];
    let dropped = |kind, origin| Circumstance {
        origin,
        bound_device: Some("fab0"),
        source_owner: Some("fab0"),
        rule: Some("control-plane"),
        only_via: &zones,
        dropped: true,
        ..circumstance(kind)
    };
    for kind in [
        Kind::DeviceEscape,
        Kind::AddressEscape,
        Kind::CopyEscape,
        Kind::PolicyEscape,
        Kind::Unpinned,
    ] {
        for origin in [SentBy::Socket, SentBy::Kernel, SentBy::None] {
            let text = dropped(kind, origin).explanation();
            let ends = text.ends_with(" It was dropped, and did not leave.");
            assert!(ends && text.contains("would have "), "{text}");
            let words_of_packets = [
                "5000 left via",
                "it left via",
                "socket left via",
                "socket sent it",
                "kernel sent it",
                "table made its",
            ];
            assert!(
                words_of_packets.iter().all(|words| !text.contains(words)),
                "{text}"
            );
        }
    }
    assert_eq!(
        dropped(Kind::DeviceEscape, SentBy::Socket).explanation(),
        "telemetryd's socket is bound to fab0, but its UDP to 203.0.113.9:5000 would have left via eth1, which is not a \
         lower device of fab0 (port, trunk, underlay). It was dropped, and did not leave."
    );
}

#[test]
fn no_circumstance_is_without_words() {
    let causes = [
        CauseKind::PktinfoOverride,
        CauseKind::ScopeOverride,
        CauseKind::PacketSocket,
        CauseKind::LinkDown("fab0".to_owned()),
        CauseKind::LinkGone("fab0".to_owned()),
        default_route(),
        CauseKind::NoRoute("network is unreachable".to_owned()),
        CauseKind::Bound("fab0".to_owned()),
        CauseKind::Crossed {
            address: [10, 0, 0, 1].into(),
            owner: "fab0".to_owned(),
            device: "eth1".to_owned(),
        },
        CauseKind::Rebound {
            from: Some("fab0".to_owned()),
            to: None,
        },
        CauseKind::BindRefused {
            device: "fab0".to_owned(),
            error: "ENODEV",
        },
        CauseKind::AddressForDevice([10, 0, 0, 1].into()),
        CauseKind::VrfMiss {
            vrf: "blue".to_owned(),
            table: "10".to_owned(),
            route: Route::default(),
        },
        CauseKind::Named {
            how: "IP_PKTINFO or IP_UNICAST_IF",
            interface: "eth1".to_owned(),
            routed: None,
        },
        CauseKind::NeverPinned,
        CauseKind::Subflow(SubflowBy::Device("eth1".to_owned(), Some(2))),
        CauseKind::Subflow(SubflowBy::Announced(None)),
        CauseKind::Subflow(SubflowBy::Endpoint(None, None)),
        CauseKind::Mirror(None),
        CauseKind::Forwarded {
            from: None,
            is_translated: false,
            source: None,
        },
        CauseKind::Forwarded {
            from: Some("cni0".to_owned()),
            is_translated: true,
            source: Some([10, 0, 0, 2].into()),
        },
        CauseKind::Kernel(KernelPacket::TcpReset),
        CauseKind::Kernel(KernelPacket::GroupMembership),
        CauseKind::MulticastRoute,
        CauseKind::Marked {
            mark: 7,
            by: pinif_ebpf::sighting::Origin::Process,
            may_set: Vec::new(),
        },
        CauseKind::Translated {
            source: Some([10, 0, 0, 1].into()),
            destination: None,
        },
        CauseKind::SourceOfRoute {
            source: [10, 0, 0, 1].into(),
        },
        CauseKind::Unnumbered {
            source: [10, 0, 0, 1].into(),
            interface: "eth1".to_owned(),
        },
        CauseKind::SourceBefore {
            source: [10, 0, 0, 1].into(),
        },
        CauseKind::SourcePicks {
            source: [10, 0, 0, 1].into(),
            interface: "eth1".to_owned(),
        },
        CauseKind::Tunnel {
            device: "vx0".to_owned(),
            kind: Some("vxlan".to_owned()),
        },
        CauseKind::Groups {
            interface: "eth1".to_owned(),
            groups: vec![[239, 1, 1, 1].into()],
        },
        CauseKind::QdiscBypass,
        CauseKind::Xdp,
        CauseKind::NotAttached {
            interface: "eth1".to_owned(),
            error: "EBUSY".to_owned(),
        },
        CauseKind::Removed(Removal {
            part: Part::AtInterface(TcDirection::Egress),
            interface: Some("eth1".to_owned()),
            times: 1,
            length: Duration::from_secs(2),
            error: None,
        }),
        CauseKind::Ahead("TCX program x (id 5)".to_owned()),
        CauseKind::XdpProgram("x (id 5)".to_owned()),
        CauseKind::Pktgen,
        CauseKind::Netconsole,
        CauseKind::WeakHost {
            owner: "fab0".to_owned(),
        },
        CauseKind::AsymmetricRoute,
        CauseKind::NoReversePath {
            interface: "eth1".to_owned(),
            loose: true,
        },
        CauseKind::StrictReversePath {
            interface: "eth1".to_owned(),
            source: [10, 0, 0, 2].into(),
            routed_by: None,
        },
        CauseKind::AnswersArp {
            interface: "eth1".to_owned(),
            address: [10, 0, 0, 1].into(),
        },
        CauseKind::ArpFlux(Box::new(ArpFlux {
            interface: IfIndex(3),
            other: IfIndex(2),
            names: ["eth1".to_owned(), "fab0".to_owned()],
            neighbour: [10, 0, 0, 2].into(),
            answers: vec![("eth1".to_owned(), [10, 0, 0, 1].into())],
        })),
    ];
    let (zones, interfaces) = (["backplane"], ["fab0"]);
    for kind in Kind::ALL {
        for cause in &causes {
            let causes = [Cause::certain(cause.clone())];
            let bare = Circumstance {
                causes: &causes,
                ..Circumstance::new(kind, "eth1")
            };
            let full = Circumstance {
                bound_device: Some("fab0"),
                source_owner: Some("fab0"),
                rule: Some("control-plane"),
                only_via: &zones,
                only_via_interfaces: &interfaces,
                causes: &causes,
                ..circumstance(kind)
            };
            for c in [
                bare,
                Circumstance {
                    origin: SentBy::None,
                    ..bare
                },
                Circumstance {
                    origin: SentBy::Kernel,
                    ..bare
                },
                full,
            ] {
                let (explanation, remedy) = (c.explanation(), c.remedy());
                assert!(
                    explanation.ends_with('.') && !explanation.contains("  "),
                    "{explanation}"
                );
                assert!(
                    !remedy.is_empty() && !remedy.ends_with('.') && !remedy.contains("  "),
                    "{remedy}"
                );
                assert!(!cause_text(c.causes).is_empty());
                let line = Line::Finding(Box::new(FindingLine::from(&c.finding())));
                let text = json::line(&line).expect("JSON");
                let read: Line<'_> = serde_json::from_str(&text).expect("a line");
                assert_eq!(read, line, "it is read as it was written");
            }
        }
    }
}

#[test]
fn unknown_causes_are_said_to_be_so() {
    assert_eq!(cause_text(&[]), "unknown");
}

#[test]
fn what_stands_for_others_and_an_earlier_policy_say_so() {
    let rule = Rule::default();
    let mut finding = circumstance(Kind::PolicyEscape).finding();
    finding.place = Arc::new(Place {
        rule: Some(rule),
        ..Place::clone(&finding.place)
    });
    finding.subject = Some(Arc::new(Subject::OtherPrograms { uid: 1000 }));
    let text = explanation(&finding);
    assert!(
        text.starts_with("A rule lets UDP to 203.0.113.9:5000 leave via other zones only"),
        "{text}"
    );
    assert!(text.contains(" User 1000 has "), "{text}");
    assert!(text.ends_with(OF_AN_EARLIER_POLICY), "{text}");
    assert_eq!(finding.rule(), None);
}
