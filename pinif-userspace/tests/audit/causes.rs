//! Why it left there: the rule and the route that the kernel took, named. Cases 9, 12, 15 and 16 of docs/developers/scenarios.md.

use std::net::UdpSocket;

use crate::bench::{Bench, CONTROL_PLANE, Finding, Need, leak, risk, scenario, together};
use pinif_lab::LinkKind;

together! {
    causes:
        the_rule_by_mark_is_named,
        the_rule_by_user_is_named,
        the_rule_by_destination_and_port_is_named,
        the_rule_by_source_is_named,
        a_rule_whose_routes_are_suppressed_is_passed_over,
        of_two_tables_the_one_with_the_route_is_named,
        one_of_several_ways_is_named,
        an_interface_that_the_program_named_is_reported_as_such,
        forwarded_traffic_has_its_rule_named,
        what_the_kernel_answers_has_its_rule_named,
        a_vrf_that_lost_its_route_is_named;
}

const NOTHING: &[Need] = &[];
const OUT: &str = "default route via 192.0.2.2 leaves via eth1";

fn escape() -> Finding {
    leak("policy-escape").rule("control-plane").egress("eth1")
}

/// Control traffic that `rule` sends to table 100, which leads outside.
fn misrouted(name: &str, rule: &str, sender: &str, cause: &'static str, remedy: &'static str) {
    scenario(name, NOTHING, |bench| {
        outside(bench, "100");
        bench.run("ip", &format!("rule add {rule} lookup 100"));
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send(sender);
        let found = escape()
            .packets(100)
            .by(&sent)
            .cause(cause)
            .cause(OUT)
            .remedy(remedy);
        auditor.stop().expect().finding(found).nothing_else();
    });
}

fn outside(bench: &Bench, table: &str) {
    bench.run(
        "ip",
        &format!("route add default via 192.0.2.2 dev eth1 table {table}"),
    );
}

fn the_rule_by_mark_is_named() {
    misrouted(
        "12 cause-rule-by-mark",
        "pref 100 fwmark 7",
        "udp --mark 7 --to 10.0.0.2:9 --count 100",
        "rule 100 (fwmark 0x7) sent it to table 100, whose ",
        "give 10.0.0.2 a route via fab0 in table 100 (`ip route replace 10.0.0.2 dev fab0 table 100`), or keep 10.0.0.2 out of rule \
         100 (fwmark 0x7) (`ip rule add pref 99 to 10.0.0.2 lookup main`)",
    );
}

fn the_rule_by_user_is_named() {
    misrouted(
        "12 cause-rule-by-user",
        "pref 100 uidrange 0-0",
        "udp --to 10.0.0.2:9 --count 100",
        "rule 100 (uidrange 0-0) sent it to table 100, whose ",
        "rule 100 (uidrange 0-0)",
    );
}

fn the_rule_by_destination_and_port_is_named() {
    misrouted(
        "12 cause-rule-by-port",
        "pref 100 to 10.0.0.0/24 ipproto udp dport 9",
        "udp --to 10.0.0.2:9 --count 100",
        "rule 100 (to 10.0.0.0/24 ipproto udp dport 9) sent it to table 100, whose ",
        "rule 100 (to 10.0.0.0/24 ipproto udp dport 9)",
    );
}

fn the_rule_by_source_is_named() {
    scenario("9 cause-rule-by-source", NOTHING, |bench| {
        outside(bench, "100");
        bench.run("ip", "rule add pref 100 from 10.0.0.1 lookup 100");
        let auditor = bench.audit(&[]);
        let bound = bench.send("udp --bind 10.0.0.1 --to 10.0.0.2:9 --count 100");
        // Without an address it asks without one, and the rule is not for it.
        bench.send("udp --to 10.0.0.2:9 --count 100");
        let found = risk("address-escape")
            .egress("eth1")
            .packets(100)
            .by(&bound)
            .cause("rule 100 (from 10.0.0.1) sent it to table 100, whose ")
            .cause(OUT)
            .remedy("bind the socket to fab0 with SO_BINDTODEVICE");
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 100)
            .finding(found)
            .nothing_else();
    });
}

fn a_rule_whose_routes_are_suppressed_is_passed_over() {
    scenario("12 cause-rule-suppressed", NOTHING, |bench| {
        outside(bench, "100");
        bench.run(
            "ip",
            "rule add pref 100 lookup main suppress_prefixlength 0",
        );
        bench.run("ip", "rule add pref 200 not fwmark 1 lookup 100");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send("udp --to 10.9.0.9:9 --count 100");
        bench.send("udp --to 10.0.0.2:9 --count 100");
        let found = escape()
            .packets(100)
            .by(&sent)
            .cause("rule 200 (not fwmark 0x1) sent it to table 100, whose ")
            .cause(OUT);
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 100)
            .finding(found)
            .nothing_else();
    });
}

fn of_two_tables_the_one_with_the_route_is_named() {
    scenario("12 cause-two-tables", NOTHING, |bench| {
        outside(bench, "200");
        bench.run("ip", "route add 203.0.113.0/24 dev fab0 table 100");
        bench.run("ip", "rule add pref 100 to 10.0.0.0/8 lookup 100");
        bench.run("ip", "rule add pref 200 to 10.0.0.0/8 lookup 200");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send("udp --to 10.0.0.2:9 --count 100");
        let found = escape()
            .packets(100)
            .by(&sent)
            .cause("rule 200 (to 10.0.0.0/8) sent it to table 200, whose ")
            .cause(OUT);
        auditor.stop().expect().finding(found).nothing_else();
    });
}

fn one_of_several_ways_is_named() {
    scenario("12 cause-multipath", NOTHING, |bench| {
        bench.run(
            "ip",
            "route add 10.9.0.0/16 nexthop via 192.0.2.2 dev eth1 nexthop via 192.0.2.2 dev eth1",
        );
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent = bench.send("udp --to 10.9.0.9:9 --count 100");
        let found = escape().packets(100).by(&sent).cause(
            "route 10.9.0.0/16 via 192.0.2.2 dev eth1 in table main, one of its 2 next hops",
        );
        auditor.stop().expect().finding(found).nothing_else();
    });
}

fn an_interface_that_the_program_named_is_reported_as_such() {
    scenario("12 cause-named", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let named = bench.send("udp --pktinfo eth1 --to 10.0.0.2:9 --count 100");
        let multicast = bench.send("udp --multicast-if eth1 --to 239.1.1.1:9 --count 100");
        assert_eq!(multicast.sent, 100);
        let found = escape().packets(100).by(&named).cause(
            "most likely the program named eth1 (IP_PKTINFO or IP_UNICAST_IF), or a route that is gone did: the kernel \
             routes it via fab0 now",
        );
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 100)
            .finding(found)
            .nothing_else();
    });
}

#[test]
fn an_option_that_names_the_interface_is_reported() {
    scenario("12 cause-option", NOTHING, |bench| {
        bench.knows("eth1", "10.0.0.2");
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let mut sender =
            bench.sender("udp --unicast-if eth1 --to 10.0.0.2:9 --count 20 --pause-after 10");
        sender.wait_for("paused");
        // The socket is asked while it is there.
        auditor.wait_for_finding("policy-escape");
        let named = sender.go_and_finish();
        let found = escape()
            .packets(20)
            .by(&named)
            .cause("the program named eth1 (IP_UNICAST_IF): the kernel routes it via fab0 now")
            .remedy("pinif run --interface fab0 -- COMMAND");
        auditor.stop().expect().finding(found).nothing_else();
    });
}

fn forwarded_traffic_has_its_rule_named() {
    scenario("16 cause-forwarded-by-rule", NOTHING, |bench| {
        let card = bench.card();
        card.set_multicast("fab0", false).expect("fab0 is there");
        card.set_multicast("eth1", false).expect("eth1 is there");
        card.set_sysctl("ipv4/ip_forward", "1")
            .expect("IPv4 is there");
        outside(bench, "100");
        bench.run("ip", "rule add pref 100 iif fab0 lookup 100");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        bench
            .far_sender(&bench.chassis.peer, "udp --to 10.9.0.9:9 --count 100")
            .finish();
        bench.wait_until_sent("eth1", 100);
        let found = escape()
            .packets(100)
            .cause("forwarded from fab0; rule 100 (iif fab0) sent it to table 100, whose ")
            .cause(OUT)
            .remedy("drop it in the forward chain when it would leave via eth1");
        auditor.stop().expect().finding(found).nothing_else();
    });
}

fn what_the_kernel_answers_has_its_rule_named() {
    scenario("15 cause-reply-by-rule", NOTHING, |bench| {
        outside(bench, "100");
        bench.run("ip", "rule add pref 100 from 10.0.0.1 lookup 100");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        // A closed port: the kernel answers by ICMP, and the answer leaves by the front.
        let asked = bench.chassis.peer.run(|| {
            let socket = UdpSocket::bind("10.0.0.2:4000")?;
            socket.send_to(&[0; 8], "10.0.0.1:4001")
        });
        asked.expect("the peer").expect("a datagram");
        bench.wait_until_sent("eth1", 1);
        let found = leak("address-escape")
            .egress("eth1")
            .packets(1)
            .protocol("icmp")
            .cause("the kernel's own reply; rule 100 (from 10.0.0.1) sent it to table 100, whose ")
            .cause(OUT);
        auditor.stop().expect().finding(found).nothing_else();
    });
}

#[test]
fn an_interface_that_is_gone_is_named() {
    scenario("12 cause-link-gone", NOTHING, |bench| {
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let mut sender = bench.sender("udp --to 10.0.0.2:9 --count 20 --pause-after 10");
        sender.wait_for("paused");
        bench.run("ip", "link del fab0");
        sender.go();
        let sent = sender.finish();
        assert_eq!(sent.sent, 20);
        let finding = auditor.wait_for_finding("policy-escape");
        assert_eq!(
            finding.cause,
            "link fab0 is gone; route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
        );
        assert!(
            finding.remedy.starts_with("bring fab0 back, and bind"),
            "{}",
            finding.remedy
        );
        // The bench would look for fab0.
        auditor.kill();
    });
}

fn a_vrf_that_lost_its_route_is_named() {
    let needs = [Need::Link(LinkKind::Vrf)];
    scenario("12 cause-vrf-miss", &needs, |bench| {
        bench.run("ip", "link add blue type vrf table 10");
        bench.run("ip", "link set blue up");
        bench.run("ip", "link set fab0 master blue");
        let auditor = bench.audit(&[]);
        // The VRF's table has its own network alone, so that the rules go on to the main table.
        let sent = bench.send("udp --bind-device blue --to 203.0.113.9:9 --count 100");
        let found = leak("device-escape")
            .bound("blue")
            .egress("eth1")
            .packets(100)
            .by(&sent)
            .cause("table 10 of the VRF blue has no route there, so it took route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main")
            .remedy("give 203.0.113.9 a route in table 10 of the VRF blue");
        auditor.stop().expect().finding(found).nothing_else();
    });
}
