use super::*;

/// A datagram from the outside to an address of fab0, on eth1.
fn arrived<'a>(causes: &'a [Cause]) -> Circumstance<'a> {
    Circumstance {
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
fn what_arrives_and_what_is_not_seen() {
    let ingress = Circumstance {
        contained_zone: Some("backplane"),
        origin: SentBy::None,
        process: None,
        ..circumstance(Kind::IngressEscape)
    };
    assert_eq!(
        ingress.explanation(),
        "UDP to 203.0.113.9:5000 from 10.0.0.1:40000 arrived on eth1, but belongs to the contained zone backplane. No \
         socket receives it: none is there, or those that are there are bound to other devices."
    );
    let causes = [Cause::certain(CauseKind::QdiscBypass)];
    let unaudited = Circumstance {
        causes: &causes,
        ..circumstance(Kind::Unaudited)
    };
    assert_eq!(
        unaudited.explanation(),
        "telemetryd's packet socket sends via eth1, and past TC egress (PACKET_QDISC_BYPASS): pinif neither judges nor \
         counts it."
    );
    assert_eq!(
        unaudited.remedy(),
        "let the program send without PACKET_QDISC_BYPASS, or take CAP_NET_RAW from it; an nft chain at the netdev egress \
         hook of eth1 sees its packets"
    );
}

#[test]
fn what_arrives_for_another_interface_is_shown_with_who_receives_it() {
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
            address: [10, 0, 0, 1].into(),
        }),
    ];
    let arrived = arrived(&causes);
    assert_eq!(
        arrived.explanation(),
        "UDP to 10.0.0.1:5000 from 192.0.2.2:40000 arrived on eth1, but 10.0.0.1 is an address of fab0 alone, and zone \
         backplane, which holds fab0, is contained. fabricd's socket, bound to no device, receives it, unless netfilter or XFRM drops it first."
    );
    assert_eq!(
        cause_text(&causes),
        "Linux accepts a packet for fab0's address on any interface (weak host model); rp_filter is off on eth1; \
         arp_ignore is 0 on eth1, which answers for 10.0.0.1"
    );
    assert_eq!(
        arrived.remedy(),
        "drop on eth1 what is for addresses that eth1 does not have (nft: iifname eth1 fib daddr type local fib daddr . iif type != { local, \
         broadcast, multicast } drop); set net.ipv4.conf.eth1.arp_ignore to 1, so that eth1 does not answer for it (`nft \
         'add table inet pinif_fix; add chain inet pinif_fix arrive { type filter hook prerouting priority -310; }; add rule inet \
         pinif_fix arrive iifname \"eth1\" fib daddr type local fib daddr . iif type != { local, broadcast, multicast } drop'; sysctl -w \
         net/ipv4/conf/eth1/arp_ignore=1`), or enforce the policy (pinif audit --enforce, which --enforce-for 60s tries): pinif drops this on \
         eth1 before netfilter and any socket, and whatever else the policy does not allow, or put fab0 into a VRF"
    );
    let dropped = Circumstance {
        dropped: true,
        ..arrived
    };
    assert_eq!(
        dropped.remedy(),
        "set net.ipv4.conf.eth1.arp_ignore to 1, so that eth1 does not answer for it (`sysctl -w net/ipv4/conf/eth1/arp_ignore=1`), or \
         end it where it is sent, or accept the finding (pinif accept): while the policy is enforced, nothing receives it, and it is \
         reported, or put fab0 into a VRF"
    );
}

#[test]
fn pinif_keeps_out_what_no_program_receives_and_what_only_alerts_once_it_does_not() {
    let pinged = Circumstance {
        origin: SentBy::Kernel,
        process: None,
        protocol: 1,
        rule: Some("watched"),
        alerts: true,
        ..arrived(&[])
    };
    let order = "enforce the policy (pinif audit --enforce, which --enforce-for 60s tries): pinif drops this on eth1";
    assert!(pinged.remedy().starts_with(order), "{}", pinged.remedy());
    let of_rule = Circumstance {
        source_owner: None,
        ..pinged
    };
    let first = format!("take action = \"alert\" out of rule watched, and {order}");
    assert!(of_rule.remedy().starts_with(&first), "{}", of_rule.remedy());
    let dropped = Circumstance {
        dropped: true,
        ..of_rule
    };
    assert_eq!(
        dropped.remedy(),
        "end it where it is sent, or accept the finding (pinif accept): while the policy is enforced, nothing receives it, and it is reported"
    );
}

#[test]
fn what_a_rule_keeps_inside_is_found_when_it_arrives_outside() {
    let (zones, interfaces) = (["backplane"], ["fab0"]);
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
        "Rule control-plane lets what goes to 10.0.0.2 leave via zone backplane (fab0) only, but UDP to 192.0.2.1:5000 \
         from 10.0.0.2:9 arrived on eth1. fabricd's socket, bound to eth1, receives it, unless netfilter or XFRM drops it first."
    );
    assert_eq!(
        arrived.remedy(),
        "enforce the policy (pinif audit --enforce, which --enforce-for 60s tries): pinif drops this on eth1 before netfilter and any \
         socket, and whatever else the policy does not allow, or drop on eth1 what comes for 192.0.2.1 from 10.0.0.2 and from others that are not routed via eth1, also where that is so on \
         purpose (net.ipv4.conf.eth1.rp_filter set to 1 drops it whatever it is for) (`nft 'add \
         table inet pinif_fix; add chain inet pinif_fix arrive { type filter hook prerouting priority -310; }; add rule inet pinif_fix \
         arrive iifname \"eth1\" ip daddr 192.0.2.1 meta l4proto 17 fib saddr . iif oif missing drop'`), or let eth1 be of zone backplane"
    );
    // IPv6 has no such filter.
    let arrived = Circumstance {
        source: "[fd00::2]:9",
        destination: "[2001:db8::1]:5000",
        ..arrived
    };
    let remedy = arrived.remedy();
    assert!(
        remedy.contains(" also where that is so on purpose (`nft 'add table inet pinif_fix; ")
            && !remedy.contains("ipv4"),
        "{remedy}"
    );
}

#[test]
fn what_rp_filter_drops_no_socket_receives() {
    let strict = |routed_by: &str| {
        [Cause::certain(CauseKind::StrictReversePath {
            interface: "eth1".to_owned(),
            source: [10, 0, 0, 2].into(),
            routed_by: Some(routed_by.to_owned()),
        })]
    };
    let (dropped, passed) = (strict("fab0"), strict("eth1"));
    assert_eq!(
        cause_text(&dropped),
        "rp_filter is strict on eth1, and 10.0.0.2 is routed via fab0: the kernel drops it"
    );
    assert!(arrived(&dropped).explanation().ends_with(
        "rp_filter, strict on eth1, drops this packet as routes are now, but none whose source is routed via eth1."
    ));
    assert!(
        arrived(&passed)
            .explanation()
            .ends_with("receives it, unless netfilter or XFRM drops it first.")
    );
}

#[test]
fn what_was_kept_out_nothing_received() {
    let kept_out = Circumstance {
        dropped: true,
        ..arrived(&[])
    };
    assert_eq!(
        kept_out.explanation(),
        "UDP to 10.0.0.1:5000 from 192.0.2.2:40000 arrived on eth1, but 10.0.0.1 is an address of fab0 alone, and zone backplane, which \
         holds fab0, is contained. fabricd's socket, bound to no device, would have received it. It was dropped where it arrived, and \
         nothing received it."
    );
}
