//! What a rule keeps inside arrives from the outside.

use super::{NOTHING, end, escape, port, receiver, send};
use crate::bench::{CONTROL_PLANE, risk, scenario, together};

together! {
    ruled:
        what_a_rule_keeps_inside_is_delivered_from_the_outside,
        what_rp_filter_drops_is_no_finding,
        what_a_rule_keeps_inside_and_nobody_takes_is_no_finding,
        an_error_from_a_router_that_has_a_kept_address_is_no_finding,
        rules_look_at_the_cgroup_of_the_socket_that_takes_it;
}

fn what_a_rule_keeps_inside_is_delivered_from_the_outside() {
    scenario("20 rule", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        let to_it = "udp --bind 10.0.0.2 --to 192.0.2.1:5000 --count 600";
        let sent = send(bench, &bench.chassis.outside, to_it, 600);
        // Of the world, no rule says anything.
        let to_it = "udp --bind 203.0.113.9 --to 192.0.2.1:5000 --count 400";
        send(bench, &bench.chassis.outside, to_it, 400);
        let escaped = escape()
            .rule("control-plane")
            .packets(600)
            .by(&end(receiver))
            .source(&format!("10.0.0.2:{}", port(&sent)))
            .cause("rp_filter is off on eth1");
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

fn what_rp_filter_drops_is_no_finding() {
    scenario("20 rule-rp-filter", NOTHING, |bench| {
        let strict = bench.card().set_sysctl("ipv4/conf/eth1/rp_filter", "1");
        strict.expect("a setting");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        let to_it = "udp --bind 10.0.0.2 --to 192.0.2.1:5000 --count 100";
        send(bench, &bench.chassis.outside, to_it, 100);
        end(receiver);
        auditor.stop().expect().nothing_else();
    });
}

fn what_a_rule_keeps_inside_and_nobody_takes_is_no_finding() {
    scenario("20 rule-no-socket", NOTHING, |bench| {
        bench
            .card()
            .set_sysctl("ipv4/icmp_ratelimit", "0")
            .expect("a limit");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let to_it = "udp --bind 10.0.0.2 --to 192.0.2.1:5000 --count 10";
        send(bench, &bench.chassis.outside, to_it, 10);
        bench.wait_until_sent("fab0", 10);
        // The answers are the kernel's, from the front port's address.
        let answered = risk("address-escape").egress("fab0").packets(10);
        auditor.stop().expect().finding(answered).nothing_else();
    });
}

fn an_error_from_a_router_that_has_a_kept_address_is_no_finding() {
    scenario("20 icmp-error", NOTHING, |bench| {
        bench
            .chassis
            .outside
            .set_sysctl("ipv4/icmp_ratelimit", "0")
            .expect("a limit");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        // No socket has port 10: the outside says so, by the address that was asked.
        let before = bench.received();
        let sent = bench.send("udp --bind-device eth1 --to 203.0.113.9:10 --count 10");
        bench.wait_until_received(before, 10);
        assert_eq!(sent.sent, 10);
        auditor
            .stop()
            .expect()
            .contained("eth1", "eth1", 10)
            .nothing_else();
    });
}

fn rules_look_at_the_cgroup_of_the_socket_that_takes_it() {
    scenario("20 rule-cgroup", NOTHING, |bench| {
        let policy = format!(
            "[zone.backplane]\ninterfaces = [\"fab*\"]\n\n[[rule]]\nname = \"daemons\"\ncgroup = \"{}\"\nonly_via = \
             [\"backplane\"]\n",
            bench.cgroup()
        );
        let auditor = bench.audit_with(&policy, &[]);
        let daemon = receiver(bench, "--bind 0.0.0.0:5000");
        let mut other = bench.far_sender(
            bench.card(),
            "--wait-stdin udp --bind 0.0.0.0:5001 --to 10.0.0.2:9 --count 0",
        );
        other.wait_for("ready");
        let outside = &bench.chassis.outside;
        send(bench, outside, "udp --to 192.0.2.1:5000 --count 600", 600);
        send(bench, outside, "udp --to 192.0.2.1:5001 --count 400", 400);
        let escaped = escape().rule("daemons").packets(600).by(&end(daemon));
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}
