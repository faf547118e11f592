use super::*;

const DESTINATION: &str = "203.0.113.9:5000";

fn circumstance(kind: Kind) -> Circumstance<'static> {
    Circumstance {
        protocol: "udp",
        source: "10.0.0.1:40000",
        destination: DESTINATION,
        process: Some("telemetryd"),
        ..Circumstance::new(kind, "eth1")
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn default_route() -> CauseKind {
    CauseKind::Route(Route {
        prefix: "0.0.0.0/0".to_owned(),
        via: Some("192.0.2.2".to_owned()),
        device: Some("eth1".to_owned()),
        table: "main".to_owned(),
        ..Route::default()
    })
}

#[test]
fn a_bound_socket_that_overrides_its_device() {
    let causes = [Cause::certain(CauseKind::PktinfoOverride)];
    let c = Circumstance {
        bound_device: Some("fab0"),
        causes: &causes,
        ..circumstance(Kind::DeviceEscape)
    };
    assert_eq!(
        c.explanation(),
        "telemetryd's socket is bound to fab0, but its udp to 203.0.113.9:5000 left by eth1, which carries nothing for \
         fab0."
    );
    assert_eq!(
        c.remedy(),
        "send without IP_PKTINFO's ipi_ifindex, or set it to fab0"
    );
    let causes = [Cause::likely(CauseKind::ScopeOverride)];
    assert_eq!(
        Circumstance {
            causes: &causes,
            ..c
        }
        .remedy(),
        "set sin6_scope_id to the index of fab0, or to 0"
    );
    assert_eq!(cause_text(&causes), "most likely sin6_scope_id override");
}

/// Of each kind that leaves, no word says that it did.
#[test]
fn what_was_dropped_did_not_leave() {
    let zones = names(&["backplane"]);
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
        for origin in [Origin::Socket, Origin::Kernel, Origin::None] {
            let text = dropped(kind, origin).explanation();
            let ends = text.ends_with(" It was dropped, and did not leave.");
            assert!(ends && text.contains("would have "), "{text}");
            let said = [
                "5000 left by",
                "it left by",
                "socket left by",
                "socket sent it",
                "kernel sent it",
                "table made its",
            ];
            assert!(said.iter().all(|words| !text.contains(words)), "{text}");
        }
    }
    assert_eq!(
        dropped(Kind::DeviceEscape, Origin::Socket).explanation(),
        "telemetryd's socket is bound to fab0, but its udp to 203.0.113.9:5000 would have left by eth1, which carries \
         nothing for fab0. It was dropped, and did not leave."
    );
}

#[test]
fn an_address_that_chooses_no_way() {
    let causes = [Cause::certain(default_route())];
    let c = Circumstance {
        source_owner: Some("fab0"),
        causes: &causes,
        ..circumstance(Kind::AddressEscape)
    };
    assert_eq!(
        c.explanation(),
        "telemetryd's socket sent udp to 203.0.113.9:5000 from 10.0.0.1, an address of fab0 alone, and it left \
         by eth1: an address chooses the source, never the way."
    );
    assert_eq!(
        c.remedy(),
        "bind the socket to fab0 with SO_BINDTODEVICE, or give 203.0.113.9 a route by fab0"
    );
    assert_eq!(
        cause_text(&causes),
        "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
    );
    let contained = Circumstance {
        contained_zone: Some("backplane"),
        ..c
    };
    assert!(
        contained
            .explanation()
            .ends_with("Zone backplane, which holds fab0, is contained."),
        "{}",
        contained.explanation()
    );
}

#[test]
fn a_rule_is_named_in_cause_and_mend() {
    let causes = [Cause::certain(CauseKind::Route(Route {
        prefix: "0.0.0.0/0".to_owned(),
        device: Some("eth1".to_owned()),
        table: "7".to_owned(),
        rule: Some("rule 100 (fwmark 0x7)".to_owned()),
        ..Route::default()
    }))];
    let c = Circumstance {
        source_owner: Some("fab0"),
        causes: &causes,
        ..circumstance(Kind::AddressEscape)
    };
    assert_eq!(
        cause_text(&causes),
        "rule 100 (fwmark 0x7) sent it to table 7, whose default route leaves by eth1"
    );
    assert_eq!(
        c.remedy(),
        "bind the socket to fab0 with SO_BINDTODEVICE, or give 203.0.113.9 a route by fab0 in table 7, or keep it out of \
         rule 100 (fwmark 0x7)"
    );
}

#[test]
fn a_vrf_without_a_route_lets_its_packets_fall_through() {
    let causes = [Cause::certain(CauseKind::VrfMiss {
        vrf: "blue".to_owned(),
        table: "10".to_owned(),
        route: Route {
            prefix: "0.0.0.0/0".to_owned(),
            device: Some("eth1".to_owned()),
            table: "main".to_owned(),
            ..Route::default()
        },
    })];
    let c = Circumstance {
        bound_device: Some("blue"),
        causes: &causes,
        ..circumstance(Kind::DeviceEscape)
    };
    assert_eq!(
        cause_text(&causes),
        "table 10 of the VRF blue has no route there, so it took route 0.0.0.0/0 dev eth1 in table main"
    );
    assert_eq!(
        c.remedy(),
        "give 203.0.113.9 a route in table 10 of the VRF blue, and end that table with an unreachable default route, so \
         that nothing falls through to another"
    );
}

#[test]
fn a_link_that_goes_down_under_a_policy() {
    let causes = [
        Cause::certain(CauseKind::LinkDown("fab0".to_owned())),
        Cause::certain(default_route()),
    ];
    let (zones, interfaces) = (names(&["backplane"]), names(&["fab0"]));
    let c = Circumstance {
        rule: Some("control-plane"),
        only_via: &zones,
        only_via_interfaces: &interfaces,
        also: &[Kind::Unpinned],
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    };
    assert_eq!(
        c.explanation(),
        "Rule control-plane lets udp to 203.0.113.9:5000 leave by zone backplane (fab0) only, and telemetryd's socket \
         sent it by eth1. It is unpinned as well."
    );
    assert_eq!(
        c.remedy(),
        "bring fab0 up, and bind the socket to fab0 with SO_BINDTODEVICE: a bound socket leaves by no other interface"
    );
    assert_eq!(
        cause_text(&causes),
        "link fab0 is down; route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
    );
}

#[test]
fn forwarded_traffic_has_no_socket_to_bind() {
    let causes = [Cause::certain(CauseKind::Forwarded {
        from: Some("fab0".to_owned()),
    })];
    let zones = names(&["backplane"]);
    let c = Circumstance {
        origin: Origin::None,
        process: None,
        rule: Some("control-plane"),
        only_via: &zones,
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    };
    assert_eq!(
        c.explanation(),
        "Rule control-plane lets udp to 203.0.113.9:5000 leave by zone backplane (which has no interface now) only, \
         and it left by eth1."
    );
    assert_eq!(
        c.remedy(),
        "drop it in the forward chain when it would leave by eth1, or give 203.0.113.9 a route by an interface of zone \
         backplane"
    );
}

#[test]
fn a_rule_that_demands_a_bound_device() {
    let (zones, interfaces) = (names(&["backplane"]), names(&["fab0", "fab1"]));
    let causes = [Cause::certain(default_route())];
    let c = Circumstance {
        rule: Some("control-plane"),
        only_via: &zones,
        only_via_interfaces: &interfaces,
        causes: &causes,
        egress_interface: "fab0",
        ..circumstance(Kind::Unpinned)
    };
    assert_eq!(
        c.explanation(),
        "Rule control-plane demands a socket that is bound to a device. telemetryd's socket is bound to none: only the \
         routing table made its udp to 203.0.113.9:5000 leave by fab0."
    );
    assert_eq!(
        c.remedy(),
        "bind the socket to fab0 or fab1 with SO_BINDTODEVICE",
        "a route is no mend"
    );
    let causes = [Cause::certain(CauseKind::BindRefused {
        device: "fab0".to_owned(),
        error: "EPERM".to_owned(),
    })];
    assert_eq!(
        Circumstance {
            causes: &causes,
            ..c
        }
        .remedy(),
        "find out why SO_BINDTODEVICE to fab0 fails (EPERM), and let the program stop when it does"
    );
}

#[test]
fn a_copy_and_a_crossed_bind_have_one_mend() {
    let copy = Circumstance {
        origin: Origin::None,
        bound_device: Some("fab0"),
        ..circumstance(Kind::CopyEscape)
    };
    assert_eq!(
        copy.explanation(),
        "A packet without a socket left by eth1: udp to 203.0.113.9:5000 from 10.0.0.1:40000, which belongs to \
         telemetryd's socket bound to fab0. It was copied or taken away on its way."
    );
    assert_eq!(
        copy.remedy(),
        "remove the tc or nft rule on fab0 that takes its packets to eth1"
    );
    let crossed = Circumstance {
        bound_device: Some("eth1"),
        source_owner: Some("fab0"),
        ..circumstance(Kind::CrossedBind)
    };
    assert_eq!(
        crossed.explanation(),
        "telemetryd's socket is bound to eth1, and to 10.0.0.1, an address of fab0 alone: answers to that \
         address may arrive by fab0, where this socket does not hear them."
    );
    assert_eq!(
        crossed.remedy(),
        "bind the socket to an address of eth1, or to the device fab0"
    );
}

#[test]
fn what_arrives_and_what_is_not_seen() {
    let ingress = Circumstance {
        contained_zone: Some("backplane"),
        origin: Origin::None,
        process: None,
        ..circumstance(Kind::IngressEscape)
    };
    assert_eq!(
        ingress.explanation(),
        "Udp to 203.0.113.9:5000 from 10.0.0.1:40000 arrived by eth1, but belongs to the contained zone backplane. No \
         socket takes it: none is there, or those that are there are bound to other devices."
    );
    let causes = [Cause::certain(CauseKind::QdiscBypass)];
    let unaudited = Circumstance {
        causes: &causes,
        ..circumstance(Kind::Unaudited)
    };
    assert_eq!(
        unaudited.explanation(),
        "telemetryd's packet socket sends by eth1, and past TC egress (PACKET_QDISC_BYPASS): pinif neither judges nor \
         counts it."
    );
    assert_eq!(
        unaudited.remedy(),
        "let the program send without PACKET_QDISC_BYPASS, or take CAP_NET_RAW from it; an nft chain at the netdev egress \
         hook of eth1 sees its packets"
    );
}

/// A datagram from the outside to an address of fab0, on eth1.
fn arrived<'a>(causes: &'a [Cause]) -> Circumstance<'a> {
    Circumstance {
        protocol: "udp",
        source: "192.0.2.2:40000",
        destination: "10.0.0.1:5000",
        process: Some("fabricd"),
        source_owner: Some("fab0"),
        contained_zone: Some("backplane"),
        causes,
        ..Circumstance::new(Kind::IngressEscape, "eth1")
    }
}

#[test]
fn what_arrives_for_another_interface_is_told_with_who_takes_it() {
    let causes = [
        Cause::certain(CauseKind::WeakHost {
            owner: "fab0".to_owned(),
        }),
        Cause::certain(CauseKind::NoReversePath {
            interface: "eth1".to_owned(),
            loose: false,
        }),
        Cause::certain(CauseKind::AnswersArp {
            interface: "eth1".to_owned(),
            address: "10.0.0.1".to_owned(),
        }),
    ];
    let arrived = arrived(&causes);
    assert_eq!(
        arrived.explanation(),
        "Udp to 10.0.0.1:5000 from 192.0.2.2:40000 arrived by eth1, but 10.0.0.1 is an address of fab0 alone, and zone \
         backplane, which holds fab0, is contained. fabricd's socket, bound to no device, takes it."
    );
    assert_eq!(
        cause_text(&causes),
        "Linux takes a packet for fab0's address by any interface (weak host model); rp_filter is off on eth1; \
         arp_ignore is 0 on eth1, which answers for 10.0.0.1"
    );
    assert_eq!(
        arrived.remedy(),
        "drop on eth1 what is for addresses that eth1 does not have (nft: iifname eth1 fib daddr . iif type != { local, \
         broadcast, multicast } drop), or put fab0 into a VRF, and bind the socket to fab0 with SO_BINDTODEVICE, which \
         then hears no other interface; set net.ipv4.conf.eth1.arp_ignore to 1, so that eth1 does not answer for it"
    );
}

#[test]
fn what_a_rule_keeps_inside_is_told_when_it_arrives_outside() {
    let (zones, interfaces) = (names(&["backplane"]), names(&["fab0"]));
    let arrived = Circumstance {
        source: "10.0.0.2:9",
        destination: "192.0.2.1:5000",
        source_owner: None,
        contained_zone: None,
        bound_device: Some("eth1"),
        rule: Some("control-plane"),
        only_via: &zones,
        only_via_interfaces: &interfaces,
        ..arrived(&[])
    };
    assert_eq!(
        arrived.explanation(),
        "Rule control-plane lets what goes to 10.0.0.2 leave by zone backplane (fab0) only, but udp to 192.0.2.1:5000 \
         from 10.0.0.2:9 arrived by eth1. fabricd's socket, bound to eth1, takes it."
    );
    assert_eq!(
        arrived.remedy(),
        "drop on eth1 what comes from 10.0.0.2 (set net.ipv4.conf.eth1.rp_filter to 1, or nft: iifname eth1 fib saddr . \
         iif oif missing drop), or let eth1 be of zone backplane"
    );
}

#[test]
fn what_rp_filter_drops_is_said_to_be_taken_by_nobody() {
    let strict = |routed_by: &str| {
        [Cause::certain(CauseKind::StrictReversePath {
            interface: "eth1".to_owned(),
            source: "10.0.0.2".to_owned(),
            routed_by: Some(routed_by.to_owned()),
        })]
    };
    let (dropped, passed) = (strict("fab0"), strict("eth1"));
    assert_eq!(
        cause_text(&dropped),
        "rp_filter is strict on eth1, and 10.0.0.2 is routed by fab0: the kernel drops it"
    );
    assert!(arrived(&dropped).explanation().ends_with(
        "rp_filter, strict on eth1, drops this packet as routes are now, but none whose source is routed by eth1."
    ));
    assert!(arrived(&passed).explanation().ends_with("takes it."));
}

/// Every kind with every cause, with everything known and with nothing: a text, and no hole in it.
#[test]
fn no_circumstance_is_without_words() {
    let causes = [
        CauseKind::PktinfoOverride,
        CauseKind::ScopeOverride,
        CauseKind::PacketSocket,
        CauseKind::LinkDown("fab0".to_owned()),
        CauseKind::LinkGone("fab0".to_owned()),
        default_route(),
        CauseKind::Rebound {
            from: Some("fab0".to_owned()),
            to: None,
        },
        CauseKind::BindRefused {
            device: "fab0".to_owned(),
            error: "ENODEV".to_owned(),
        },
        CauseKind::AddressForDevice("10.0.0.1".to_owned()),
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
        CauseKind::Mirror,
        CauseKind::Forwarded { from: None },
        CauseKind::KernelReply,
        CauseKind::QdiscBypass,
        CauseKind::Xdp,
        CauseKind::NotAttached {
            interface: "eth1".to_owned(),
            error: "EBUSY".to_owned(),
        },
        CauseKind::Ahead("TCX program x (id 5)".to_owned()),
        CauseKind::XdpProgram("x (id 5)".to_owned()),
        CauseKind::Pktgen,
        CauseKind::Netconsole,
        CauseKind::WeakHost {
            owner: "fab0".to_owned(),
        },
        CauseKind::AnotherWay,
        CauseKind::NoReversePath {
            interface: "eth1".to_owned(),
            loose: true,
        },
        CauseKind::StrictReversePath {
            interface: "eth1".to_owned(),
            source: "10.0.0.2".to_owned(),
            routed_by: None,
        },
        CauseKind::AnswersArp {
            interface: "eth1".to_owned(),
            address: "10.0.0.1".to_owned(),
        },
        CauseKind::Unknown,
    ];
    let (zones, interfaces) = (names(&["backplane"]), names(&["fab0"]));
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
                    origin: Origin::None,
                    ..bare
                },
                Circumstance {
                    origin: Origin::Kernel,
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
            }
        }
    }
}

#[test]
fn many_names_are_cut_short_and_unknown_causes_said_so() {
    assert_eq!(listed(&["a", "b", "c", "d"], "or"), "a, b, c or d");
    assert_eq!(
        listed(&["a", "b", "c", "d", "e"], "or"),
        "a, b, c or 2 more"
    );
    assert_eq!(cause_text(&[]), "unknown");
    assert_eq!(cause_text(&[Cause::likely(CauseKind::Unknown)]), "unknown");
}

#[test]
fn a_route_goes_to_an_address_not_to_a_port() {
    for (destination, expected) in [
        ("[fd00::1]:9", "give fd00::1 a route by fab0"),
        ("fd00::1", "give fd00::1 a route by fab0"),
        ("10.0.0.2:9", "give 10.0.0.2 a route by fab0"),
        ("10.0.0.2", "give 10.0.0.2 a route by fab0"),
        ("", "give the destination a route by fab0"),
    ] {
        let c = Circumstance {
            destination,
            origin: Origin::None,
            source_owner: Some("fab0"),
            ..circumstance(Kind::AddressEscape)
        };
        assert_eq!(c.remedy(), expected);
    }
}
