use pinif_ebpf::sighting::Origin;

use super::*;
use crate::{
    findings::ways::{ChosenBy, Ways},
    host::nft::{Applies, Does, MarkSet, NftRule},
};

#[test]
fn a_bound_socket_that_overrides_its_device() {
    let causes = [Cause::certain(CauseKind::PktinfoOverride(PacketInfo::V4))];
    let c = Circumstance {
        bound_device: Some("fab0"),
        causes: &causes,
        ..circumstance(Kind::DeviceEscape)
    };
    assert_eq!(
        c.explanation(),
        "telemetryd's socket is bound to fab0, but its UDP to 203.0.113.9:5000 left via eth1, which is not a lower device of \
         fab0 (port, trunk, underlay)."
    );
    assert_eq!(
        c.remedy(),
        "start the program by pinif run, which drops what would leave by another interface (`pinif run --interface fab0 -- \
         COMMAND`), or send without IP_PKTINFO's ipi_ifindex, or set it to fab0"
    );
    let causes = [Cause::likely(CauseKind::ScopeOverride)];
    assert_eq!(
        Circumstance {
            causes: &causes,
            ..c
        }
        .remedy(),
        "start the program by pinif run, which drops what would leave by another interface (`pinif run --interface fab0 -- \
         COMMAND`), or set sin6_scope_id to the index of fab0, or to 0"
    );
    assert_eq!(cause_text(&causes), "most likely sin6_scope_id override");
}

#[test]
fn an_address_does_not_choose_the_interface() {
    let causes = [Cause::certain(default_route())];
    let c = Circumstance {
        source_owner: Some("fab0"),
        causes: &causes,
        ..circumstance(Kind::AddressEscape)
    };
    let left = "telemetryd's socket sent UDP to 203.0.113.9:5000 from 10.0.0.1, an address of fab0 alone, and it left via eth1";
    assert_eq!(c.explanation(), format!("{left}."));
    let bound = Circumstance {
        bound_address: Some("10.0.0.1"),
        ..c
    };
    assert_eq!(
        bound.explanation(),
        format!("{left}: bind() sets the source address; it does not choose the interface.")
    );
    // NAT gave the packet another than the program did.
    let translated = Circumstance {
        bound_address: Some("192.0.2.1"),
        ..c
    };
    assert_eq!(translated.explanation(), format!("{left}."));
    assert_eq!(
        c.remedy(),
        "give 203.0.113.9 a route via fab0, or let the program send from no address of its own (bind(), IP_PKTINFO), or bind the \
         socket to fab0 with SO_BINDTODEVICE"
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
fn a_rule_is_named_in_cause_and_remedy() {
    let causes = [Cause::certain(CauseKind::Route(Route {
        prefix: "0.0.0.0/0".parse().expect("a prefix"),
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
        "rule 100 (fwmark 0x7) sent it to table 7, whose default route leaves via eth1"
    );
    assert_eq!(
        c.remedy(),
        "give 203.0.113.9 a route via fab0 in table 7, or let the program send from no address of its own (bind(), IP_PKTINFO), or \
         bind the socket to fab0 with SO_BINDTODEVICE"
    );
}

#[test]
fn a_vrf_without_a_route_lets_its_packets_fall_through() {
    let causes = [Cause::certain(CauseKind::VrfMiss {
        vrf: "blue".to_owned(),
        table: "10".to_owned(),
        route: Route {
            prefix: "0.0.0.0/0".parse().expect("a prefix"),
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
         that nothing falls through to another (`ip route add unreachable default metric 4278198272 table 10`)"
    );
    let of_ipv6 = Circumstance {
        source: "[fd00::1]:40000",
        destination: "[2001:db8::9]:5000",
        ..c
    };
    assert!(
        of_ipv6
            .remedy()
            .ends_with("(`ip -6 route add unreachable default metric 4278198272 table 10`)")
    );
}

#[test]
fn only_a_rule_that_sets_just_this_mark_is_to_be_deleted() {
    let deletes = |does| {
        let rule = NftRule {
            family: "ip",
            table: "lab".to_owned(),
            chain: "out".to_owned(),
            handle: 4,
            does,
            applies: Applies::default(),
        };
        let causes = [Cause::certain(CauseKind::Marked {
            mark: 7,
            by: Origin::Process,
            may_set: vec![rule],
        })];
        let mut finding = Circumstance {
            causes: &causes,
            ..circumstance(Kind::AddressEscape)
        }
        .finding();
        finding.ways = Arc::new(Ways {
            chosen_by: ChosenBy::Before,
            ..Ways::default()
        });
        remedy(&finding).contains("nft delete rule ip lab out handle 4")
    };
    assert!(deletes(Does::Mark(Some(MarkSet::whole(7)))));
    assert!(!deletes(Does::Mark(None)));
}

#[test]
fn a_link_that_goes_down_under_a_policy() {
    let causes = [
        Cause::certain(CauseKind::LinkDown {
            link: "fab0".to_owned(),
            is_near: true,
        }),
        Cause::certain(default_route()),
    ];
    let (zones, interfaces) = (["backplane"], ["fab0"]);
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
        "Rule control-plane lets UDP to 203.0.113.9:5000 leave via zone backplane (fab0) only, and telemetryd's socket \
         sent it via eth1. It is unpinned as well."
    );
    assert_eq!(
        c.remedy(),
        "bring fab0 up, and bind the socket to fab0 with SO_BINDTODEVICE: a bound socket leaves via no other interface (`ip \
         link set fab0 up`)"
    );
    assert_eq!(
        cause_text(&causes),
        "link fab0 is down; route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
    );
}

#[test]
fn a_header_of_the_programs_own_has_its_source() {
    let mut finding = Circumstance {
        source_owner: Some("fab0"),
        causes: &[Cause::certain(default_route())],
        ..circumstance(Kind::AddressEscape)
    }
    .finding();
    let order = |finding: &mut Finding, writes_header| {
        finding.ways = Arc::new(Ways {
            chosen_by: ChosenBy::Program,
            source: Some([192, 0, 2, 1].into()),
            is_led_there: true,
            is_right_without: true,
            writes_header,
            ..Ways::default()
        });
        let enter = &finding.place.enter;
        let steps: Vec<Step> = remedies(finding)
            .iter()
            .map(|one| one.step(enter))
            .collect();
        let is_it = |step: &&Step| step.text.starts_with("let the program");
        let step = steps.iter().find(is_it).expect("the program's");
        (step.text.clone(), step.options.len())
    };
    assert_eq!(
        order(&mut finding, false),
        (
            "let the program send from 192.0.2.1, eth1's address, or from none (bind(), IP_PKTINFO)".to_owned(),
            1
        )
    );
    assert_eq!(
        order(&mut finding, true),
        (
            "let the program write the source 192.0.2.1, eth1's address, or 0.0.0.0, which the kernel replaces, in its own \
             header (IP_HDRINCL)"
                .to_owned(),
            0
        )
    );
}

#[test]
fn no_command_gives_a_link_a_carrier() {
    let causes = [Cause::certain(CauseKind::NoCarrier("fab0".to_owned()))];
    let c = Circumstance {
        rule: Some("control-plane"),
        only_via: &["backplane"],
        only_via_interfaces: &["fab0"],
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    };
    assert_eq!(cause_text(&causes), "link fab0 has no carrier");
    assert_eq!(
        c.remedy(),
        "give fab0 a carrier (its cable, the other end, or the interface below it), and bind the socket to fab0 with \
         SO_BINDTODEVICE: a bound socket leaves via no other interface"
    );
}

#[test]
fn forwarded_traffic_has_no_socket_to_bind() {
    let causes = [Cause::certain(CauseKind::Forwarded {
        from: Some("fab0".to_owned()),
        is_translated: false,
        source: None,
    })];
    let zones = ["backplane"];
    let c = Circumstance {
        origin: SentBy::None,
        process: None,
        rule: Some("control-plane"),
        only_via: &zones,
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    };
    assert_eq!(
        c.explanation(),
        "Rule control-plane lets UDP to 203.0.113.9:5000 leave via zone backplane (which has no interface now) only, \
         and it left via eth1."
    );
    assert_eq!(
        c.remedy(),
        "drop it in the forward chain when it would leave via eth1 (`nft 'add table inet pinif_fix; add chain inet pinif_fix forward \
         { type filter hook forward priority 101; }; add rule inet pinif_fix forward oifname \"eth1\" ip daddr 203.0.113.9 meta l4proto 17 drop'`), or \
         give 203.0.113.9 a route via an interface of zone backplane"
    );
}

#[test]
fn a_rule_that_demands_a_bound_device() {
    let (zones, interfaces) = (["backplane"], ["fab0", "fab1"]);
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
         routing table made its UDP to 203.0.113.9:5000 leave via fab0."
    );
    assert_eq!(
        c.remedy(),
        "bind the socket to fab0 or fab1 with SO_BINDTODEVICE",
        "a route does not fix it"
    );
    let causes = [Cause::certain(CauseKind::BindRefused {
        device: "fab0".to_owned(),
        error: "EPERM",
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
fn a_copy_and_a_crossed_bind_have_one_remedy() {
    let copy = Circumstance {
        origin: SentBy::None,
        bound_device: Some("fab0"),
        ..circumstance(Kind::CopyEscape)
    };
    assert_eq!(
        copy.explanation(),
        "A packet without a socket left via eth1: UDP to 203.0.113.9:5000 from 10.0.0.1:40000, which belongs to \
         telemetryd's socket bound to fab0. It was copied or redirected."
    );
    assert_eq!(
        copy.remedy(),
        "remove the tc or nft rule on fab0 that takes its packets to eth1 (tc filter show dev fab0 egress, nft -a list ruleset)"
    );
    let crossed = Circumstance {
        bound_device: Some("eth1"),
        source_owner: Some("fab0"),
        ..circumstance(Kind::CrossedBind)
    };
    assert_eq!(
        crossed.explanation(),
        "telemetryd's socket is bound to eth1, and to 10.0.0.1, an address of fab0 alone: answers to that \
         address may arrive on fab0, where this socket does not receive them."
    );
    assert_eq!(
        crossed.remedy(),
        "bind the socket to an address of eth1, or to the device fab0"
    );
}

#[test]
fn a_route_goes_to_an_address_not_to_a_port() {
    for (destination, expected) in [
        ("[fd00::1]:9", "give fd00::1 a route via fab0"),
        ("fd00::1", "give fd00::1 a route via fab0"),
        ("10.0.0.2:9", "give 10.0.0.2 a route via fab0"),
        ("10.0.0.2", "give 10.0.0.2 a route via fab0"),
        ("", "give the destination a route via fab0"),
    ] {
        let c = Circumstance {
            destination,
            origin: SentBy::None,
            source_owner: Some("fab0"),
            ..circumstance(Kind::AddressEscape)
        };
        let remedy = c.remedy();
        assert!(
            remedy.starts_with(&format!("{expected}, or drop it where it leaves via eth1")),
            "{remedy}"
        );
    }
}
