//! Remedies of a program that names the interface with what it sends to a group: the kernel then gives the packet an address of that, which
//! the program did not choose.

use super::policies::GROUPS;
use crate::bench::arrivals::Arrivals;
use crate::bench::carry::{COUNT, Mistake, Then, developer, on_card, operator, set, started};
use crate::bench::{Bench, Need, Report, leak, scenario};

/// The group's route is by fab0.
fn routed(bench: &Bench) {
    bench.run("ip", "route add 239.0.0.0/8 dev fab0");
}

/// Groups of a site stay on the backplane.
const SITE: &str = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"site\"\ndestination = [\"ff05::/16\"]\nonly_via = \
                    [\"backplane\"]\n";
const CAUSE: &str = "most likely the program named eth1 (IP_MULTICAST_IF or IP_PKTINFO), or a route that is gone did: the kernel routes it \
                     via fab0 now";
/// Where an option is to name the interface.
const RUN_OR_FAIL: &str = "start the program by pinif run, which drops what would leave by another interface; there, IP_MULTICAST_IF of \
                           another fails (EINVAL) (`pinif run ";
/// What the kernel says to that.
const EINVAL: &str = "Invalid argument";
const NO_OTHER: &str =
    "bind the socket to fab0 with SO_BINDTODEVICE, and let the program name no other";

#[test]
fn a_group_by_pktinfo_is_sent_where_it_belongs() {
    Mistake {
        cause: CAUSE,
        policy: Some(GROUPS),
        make: routed,
        remedies: vec![
            operator(RUN_OR_FAIL, Then::Nowhere),
            developer(NO_OTHER, Then::Peer),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 group-pktinfo",
            "udp --pktinfo eth1 --to 239.1.1.1:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The kernel refuses the option to a socket that `pinif run` has bound (`do_ip_setsockopt`): this program ends then.
#[test]
fn a_group_by_an_option_is_sent_where_it_belongs() {
    Mistake {
        cause: CAUSE,
        policy: Some(GROUPS),
        make: routed,
        remedies: vec![
            operator(RUN_OR_FAIL, Then::Fails(EINVAL)),
            developer(NO_OTHER, Then::Peer),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 group-multicast-if",
            "udp --multicast-if eth1 --to 239.1.1.1:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The kernel refuses both to a bound socket, which sends nothing then (`ip6_datagram_send_ctl`).
#[test]
fn what_ipv6_names_is_sent_where_it_belongs() {
    Mistake {
        cause: "most likely the program named eth1 (IPV6_PKTINFO or IPV6_UNICAST_IF), or a route that is gone did: the kernel routes it \
                via fab0 now",
        policy: Some(crate::bench::CONTROL_PLANE),
        remedies: vec![
            operator(
                "start the program by pinif run, where IPV6_PKTINFO or IPV6_UNICAST_IF of another interface fails (EINVAL)",
                Then::Nowhere,
            ),
            developer(
                "bind the socket to fab0 with SO_BINDTODEVICE, and let the program name no other (IPV6_PKTINFO or IPV6_UNICAST_IF)",
                Then::Peer,
            ),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 v6-named",
            "udp --pktinfo eth1 --to [fd00::2]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The kernel looks at no scope of a group that is wider than the link.
#[test]
fn a_group_of_ipv6_by_an_option_is_sent_where_it_belongs() {
    Mistake {
        cause: "most likely the program named eth1 (IPV6_MULTICAST_IF or IPV6_PKTINFO), or a route that is gone did: the kernel routes \
                it via fab0 now",
        policy: Some(SITE),
        make: |bench| bench.run("ip", "-6 route add ff05::/16 dev fab0 table local"),
        remedies: vec![
            operator(
                "start the program by pinif run, where IPV6_MULTICAST_IF or IPV6_PKTINFO of another interface fails (EINVAL)",
                Then::Fails(EINVAL),
            ),
            developer(NO_OTHER, Then::By("fab0")),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 v6-group-named",
            "udp --multicast-if eth1 --to [ff05::7]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The program has fab0's address besides, by which the kernel would send it.
#[test]
fn a_group_from_the_right_address_is_sent_by_its_interface() {
    Mistake {
        cause: CAUSE,
        remedies: vec![
            operator(RUN_OR_FAIL, Then::Fails(EINVAL)),
            developer(NO_OTHER, Then::Peer),
        ],
        ..Mistake::of(
            "address-escape",
            "30 group-bound",
            "udp --bind 10.0.0.1 --multicast-if eth1 --to 239.1.1.1:7009 --count 10",
        )
    }
    .is_fixed();
}

/// An address of eth1 that a rule of routing asks for may come of the interface that the program named: no answer distinguishes these.
#[test]
fn a_rule_by_a_source_that_nobody_bound_is_probable() {
    fn make(bench: &Bench) {
        super::misled(bench, "pref 100 from 192.0.2.1");
        bench.knows("eth1", "10.0.0.2");
    }
    Mistake {
        cause: "most likely rule 100 (from 192.0.2.1) sent it to table 100",
        policy: Some(crate::bench::CONTROL_PLANE),
        make,
        remedies: vec![
            operator("give 10.0.0.2 a route via fab0 in table 100", Then::Words),
            developer(
                "bind the socket to fab0 with SO_BINDTODEVICE, and let the program name no other (IP_PKTINFO)",
                Then::Peer,
            ),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 named-or-routed",
            "udp --pktinfo eth1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// No route leads there by fab0: bound to that, the program would wait for a neighbour that does not answer.
#[test]
fn what_is_named_and_nothing_reaches_is_somebodys_to_decide() {
    fn make(bench: &Bench) {
        bench.run("ip", "route del default");
        bench.knows("eth1", "203.0.113.9");
    }
    Mistake {
        needs: &[Need::Program("ip")],
        cause: "most likely the program named eth1 (IP_PKTINFO or IP_UNICAST_IF), or a route that is gone did: the kernel has no route \
                for it now",
        policy: Some(super::both::WORLD),
        make,
        remedies: vec![operator(
            "decide where 203.0.113.9 belongs: no route leads there via fab0",
            Then::Words,
        )],
        ..Mistake::of(
            "policy-escape",
            "30 named-beyond",
            "udp --pktinfo eth1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The socket is asked while it is there: the option has eth1's address, which the packets then have.
#[test]
fn an_option_that_names_the_interface_by_its_address_is_reported() {
    scenario("12 cause-multicast-option", &[], |bench| {
        routed(bench);
        let mut auditor = bench.audit_with(GROUPS, &[]);
        let mut sender = bench.sender(
            "udp --multicast-address 192.0.2.1 --to 239.1.1.1:9 --count 20 --pause-after 10",
        );
        sender.wait_for("paused");
        auditor.wait_for_finding("policy-escape");
        let sent = sender.go_and_finish();
        let found = leak("policy-escape")
            .rule("groups")
            .egress("eth1")
            .packets(20)
            .by(&sent)
            .cause("the program named eth1 (IP_MULTICAST_IF): the kernel routes it via fab0 now");
        let report = auditor.stop();
        assert!(!report.findings[0].cause.contains("likely"), "{report}");
        report.expect().finding(found).nothing_else();
    });
}

/// A server that answers from where it was asked, whose answers a rule keeps elsewhere: a route alone would take the address along.
#[test]
fn a_source_that_the_program_may_have_named_is_translated_where_it_is_led() {
    fn sent(bench: &Bench, options: &str, is_found: bool) -> Report {
        let mut auditor = bench.audit_with(super::WORLD, &[]);
        let mut sender = bench.sender(&format!(
            "udp {options} --to 203.0.113.9:7009 --count 10 --pause-after 5"
        ));
        sender.wait_for("paused");
        if is_found {
            auditor.wait_for_finding("policy-escape");
        }
        sender.go_and_finish();
        auditor.stop()
    }
    const NAMED: &str = "--pktinfo-source 192.0.2.1";
    for number in 0..2 {
        let remedy = format!(" remedy {}", number + 1);
        scenario(
            &["30 named-source", &remedy].concat(),
            &[Need::Program("nft")],
            |bench| {
                super::misled_world(bench);
                super::peer_has(bench, "203.0.113.9/32");
                let report = sent(bench, NAMED, true);
                let [finding] = &report.findings[..] else {
                    panic!("one finding\n{report}");
                };
                assert_eq!(
                    (finding.kind.name(), finding.packets),
                    ("policy-escape", COUNT),
                    "{report}"
                );
                let texts = finding.remedies.iter();
                let texts: Vec<_> = texts.map(|step| on_card(finding, &step.text)).collect();
                let [led, bound] = &texts[..] else {
                    panic!("{texts:#?}");
                };
                assert!(
                led.starts_with(
                    "give 203.0.113.9 a route via fab0, and translate the source 192.0.2.1 there to an address of fab0 (`ip route"
                ),
                "{led}"
            );
                assert!(
                bound.starts_with("bind the socket to fab0 with SO_BINDTODEVICE, and let the program name no other (IP_PKTINFO)"),
                "{bound}"
            );
                let step = &finding.remedies[number];
                step.commands.iter().for_each(|line| bench.shell(line));
                let bind = "--bind-device fab0";
                let arrivals = Arrivals::at(bench);
                let options = if number == 0 { NAMED } else { bind };
                let report = sent(bench, options, false);
                arrivals.are(COUNT, 0, step);
                assert!(report.findings.is_empty(), "after {step:#?}\n{report}");
            },
        );
    }
}

/// No route is for the group, so that the default route leads there as well: the option decides, which no route changes.
#[test]
fn an_option_that_agrees_with_the_route_is_what_decides() {
    const SENDS: &str = "udp --multicast-address 192.0.2.1 --to 239.1.1.1:7009 --count 10";
    for number in 0..2 {
        let remedy = format!(" remedy {}", number + 1);
        scenario(&["30 group-as-routed", &remedy].concat(), &[], |bench| {
            let mut auditor = bench.audit_with(GROUPS, &[]);
            let mut sender = bench.sender(&format!("{SENDS} --pause-after 5"));
            sender.wait_for("paused");
            auditor.wait_for_finding("policy-escape");
            sender.go_and_finish();
            let report = auditor.stop();
            let [finding] = &report.findings[..] else {
                panic!("one finding\n{report}");
            };
            assert_eq!(
                (finding.cause.as_str(), finding.packets),
                (
                    "the program named eth1 (IP_MULTICAST_IF): no other route leads it elsewhere",
                    COUNT
                ),
                "{report}"
            );
            let texts = finding.remedies.iter();
            let texts: Vec<_> = texts.map(|step| on_card(finding, &step.text)).collect();
            assert_eq!(texts.len(), 2, "{texts:#?}");
            assert!(
                texts[0].starts_with("start the program by pinif run, where IP_MULTICAST_IF of another interface fails (EINVAL)")
                    && texts[1].starts_with(NO_OTHER),
                "{texts:#?}"
            );
            let step = &finding.remedies[number];
            let auditor = bench.audit_with(GROUPS, &[]);
            let arrivals = Arrivals::at(bench);
            let arrived = match number {
                0 => {
                    let line = started(&step.commands[0], SENDS);
                    let failed = bench.shell_output(&line);
                    let said = String::from_utf8_lossy(&failed.stderr);
                    assert!(
                        !failed.status.success() && said.contains(EINVAL),
                        "{failed:?}"
                    );
                    0
                }
                _ => {
                    let options = step.options.iter();
                    let sends = options.fold(SENDS.to_owned(), |sends, one| set(&sends, one));
                    bench.send(&sends);
                    COUNT
                }
            };
            arrivals.are(arrived, 0, step);
            let report = auditor.stop();
            assert!(report.findings.is_empty(), "after {step:#?}\n{report}");
        });
    }
}

/// Nobody names an interface for the group: the route that leads there is the likely cause, and each remedy ends it.
#[test]
fn a_group_that_a_route_leads_out_is_led_home() {
    Mistake {
        cause: "=most likely route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(GROUPS),
        remedies: vec![
            operator(
                "give 239.1.1.1 a route via fab0 (`ip route replace 239.1.1.1 dev fab0`)",
                Then::Peer,
            ),
            operator(RUN_OR_FAIL, Then::Peer),
            developer(NO_OTHER, Then::Peer),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 group-routed",
            "udp --to 239.1.1.1:7009 --count 10",
        )
    }
    .is_fixed();
}

/// An interface by its index is in no answer of the kernel's: that the route was not it shows where it was changed, and the finding grows.
#[test]
fn a_route_that_was_not_it_is_not_named_any_longer() {
    scenario("30 group-named-late", &[], |bench| {
        let mut auditor = bench.audit_with(GROUPS, &[]);
        let mut sender =
            bench.sender("udp --multicast-if eth1 --to 239.1.1.1:7009 --count 20 --pause-after 10");
        sender.wait_for("paused");
        let finding = auditor.wait_for_finding("policy-escape");
        assert_eq!(
            finding.cause,
            "most likely route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
        );
        for line in &finding.remedies[0].commands {
            bench.shell(line);
        }
        let sent = sender.go_and_finish();
        let found = leak("policy-escape")
            .rule("groups")
            .egress("eth1")
            .packets(20)
            .by(&sent)
            .cause(CAUSE)
            .remedy(NO_OTHER);
        auditor.stop().expect().finding(found).nothing_else();
    });
}
