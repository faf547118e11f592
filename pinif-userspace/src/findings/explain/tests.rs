//! The words of findings.

mod answers;
mod arrivals;
mod circumstance;
mod egress;
mod several;

use std::{sync::Arc, time::Duration};

use pinif_ebpf::{key::IfIndex, verdict::Kind};

use self::circumstance::Circumstance;
use super::{causes::text as cause_text, words::OF_AN_EARLIER_POLICY, *};
use crate::{
    findings::{
        finding::{Finding, Place, Rule, SentBy},
        line::{FindingLine, Line},
        removal::{Part, Removal},
        subject::{KernelPacket, Subject},
    },
    host::arp_flux::ArpFlux,
    kernel::direction::TcDirection,
    text::json,
};

const DESTINATION: &str = "203.0.113.9:5000";

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
        CauseKind::PktinfoOverride(PacketInfo::V4),
        CauseKind::ScopeOverride,
        CauseKind::PacketSocket,
        CauseKind::LinkDown {
            link: "fab0".to_owned(),
            is_near: true,
        },
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
        CauseKind::MulticastRoute { is_ipv6: true },
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
        CauseKind::Encapsulated {
            route: Route {
                device: Some("eth1".to_owned()),
                ..Route::default()
            },
            is_set: false,
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
            is_foreign: false,
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
