//! Remedies of a program that sends from an address that no interface has (`IP_TRANSPARENT`): the kernel answers no question about such a
//! packet, and routes it as any other.

use crate::bench::carry::{Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, leak, scenario};

/// Its option, where the socket is closed before it is asked, is one of two.
const CAUSE: &str = "the program sends from 198.51.100.77, which no interface has (IP_TRANSPARENT";
const SENDS: &str = "udp --transparent --bind 198.51.100.77 --to 10.0.0.2:7009 --count 10";

fn misled(bench: &Bench) {
    bench.run("ip", "route add 10.0.0.2 via 192.0.2.2");
}

/// The route that all others take as well.
#[test]
fn a_foreign_source_is_led_home() {
    Mistake {
        cause: CAUSE,
        policy: Some(CONTROL_PLANE),
        make: misled,
        remedies: vec![
            operator(
                "give 10.0.0.2 a route via fab0 (`ip route replace 10.0.0.2 dev fab0`)",
                Then::Peer,
            ),
            operator(
                "start the program by pinif run (`pinif run --interface fab0",
                Then::Peer,
            ),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..Mistake::of("policy-escape", "30 transparent", SENDS)
    }
    .is_fixed();
}

/// A rule for just that source, as proxies have it.
#[test]
fn a_rule_by_a_foreign_source_is_left() {
    fn make(bench: &Bench) {
        super::misled(bench, "pref 100 from 198.51.100.0/24");
    }
    Mistake {
        cause: "which no interface has (IP_TRANSPARENT",
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![
            operator(
                "give 10.0.0.2 a route via fab0 in table 100 (`ip route replace 10.0.0.2 dev fab0 table 100`)",
                Then::Peer,
            ),
            operator(
                "keep 10.0.0.2 out of rule 100 (from 198.51.100.0/24) (`ip rule add pref 99 to 10.0.0.2 lookup main`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..Mistake::of("policy-escape", "30 transparent-rule", SENDS)
    }
    .is_fixed();
}

/// The socket is asked while it is there.
#[test]
fn the_option_is_named_that_lets_it_send_so() {
    for (name, family, sends, option, route) in [
        (
            "12 cause-transparent",
            "",
            "udp --transparent --bind 198.51.100.77 --to 10.0.0.2:9",
            "198.51.100.77, which no interface has (IP_TRANSPARENT)",
            "route 10.0.0.2/32 via 192.0.2.2 dev eth1 in table main",
        ),
        (
            "12 cause-transparent-v6",
            "-6 ",
            "udp --transparent --bind 2001:db8:77::77 --to [fd00::2]:9",
            "2001:db8:77::77, which no interface has (IPV6_TRANSPARENT)",
            "route fd00::2/128 via 2001:db8::2 dev eth1 in table main",
        ),
    ] {
        scenario(name, &[], |bench| {
            match family {
                "" => misled(bench),
                _ => bench.run("ip", "-6 route add fd00::2 via 2001:db8::2"),
            }
            let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
            let mut sender = bench.sender(&format!("{sends} --count 20 --pause-after 10"));
            sender.wait_for("paused");
            auditor.wait_for_finding("policy-escape");
            let sent = sender.go_and_finish();
            let report = auditor.stop();
            assert_eq!(
                report.findings[0].cause,
                format!("the program sends from {option}; {route}"),
                "{report}"
            );
            let found = leak("policy-escape")
                .rule("control-plane")
                .egress("eth1")
                .packets(20)
                .by(&sent);
            report.expect().finding(found).nothing_else();
        });
    }
}
