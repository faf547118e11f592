//! What a policy forbids. Cases 12, 13, 14, 16 and 17 of docs/developers/scenarios.md.

use crate::bench::{
    Bench, CONTROL_PLANE, CONTROL_PLANE_PINNED, Finding, Need, leak, risk, scenario, together,
};
use pinif_lab::{Route, Rule};

together! {
    changes_of_the_host:
        a_link_that_goes_down_lets_control_traffic_out,
        a_link_that_goes_down_lets_ipv6_control_traffic_out,
        an_added_route_lets_control_traffic_out,
        a_rule_by_mark_lets_control_traffic_out,
        an_address_bind_does_not_survive_its_link,
        a_pinned_socket_stays_when_its_link_goes_down,
        unpinned_control_traffic_leaves_well_by_the_current_route,
        unpinned_control_traffic_fails_an_audit_that_fails_on_risks,
        pinned_control_traffic_keeps_the_policy,
        a_policy_without_pinning_is_content_with_the_right_interface;
    senders:
        a_process_that_ignores_a_refused_bind_leaks,
        a_socket_rebound_to_the_outside_breaks_the_policy,
        a_socket_unbound_after_connect_leaks_a_contained_address,
        forwarded_control_traffic_leaks_without_a_socket,
        forwarded_ipv6_control_traffic_leaks_without_a_socket,
        forwarded_traffic_that_no_rule_names_is_contained,
        a_raw_socket_on_the_outside_leaks_control_traffic,
        a_raw_ipv6_socket_on_the_outside_leaks_control_traffic,
        a_packet_socket_on_the_outside_leaks_control_traffic,
        a_packet_socket_that_forges_a_contained_address_leaks_it;
}

const NOTHING: &[Need] = &[];
const RULE: &str = "control-plane";

/// Control traffic on the outside.
fn escape() -> Finding {
    leak("policy-escape").rule(RULE).egress("eth1")
}

/// Control traffic that is where it should be, of an unpinned socket.
fn unpinned() -> Finding {
    risk("unpinned").rule(RULE).egress("fab0")
}

/// 400 datagrams before `change`, 600 after it; the change moves them from fab0 to eth1.
fn moved(name: &str, to: &'static str, cause: &'static str, change: impl Fn(&Bench)) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let mut sender = bench.sender(&format!("udp --to {to} --count 1000 --pause-after 400"));
        sender.wait_for("paused");
        change(bench);
        sender.go();
        let sent = sender.finish();
        auditor
            .stop()
            .expect()
            .finding(unpinned().packets(400).by(&sent).destination(to))
            .finding(escape().packets(600).by(&sent).destination(to).cause(cause))
            .nothing_else();
    });
}

fn a_link_that_goes_down_lets_control_traffic_out() {
    moved("12 link-down", "10.0.0.2:9", "link fab0 is down", |bench| {
        bench.card().set_down("fab0").expect("fab0 goes down");
    });
}

fn a_link_that_goes_down_lets_ipv6_control_traffic_out() {
    moved(
        "12 link-down-v6",
        "[fd00::2]:9",
        "link fab0 is down",
        |bench| {
            bench.card().set_down("fab0").expect("fab0 goes down");
        },
    );
}

fn an_added_route_lets_control_traffic_out() {
    let cause = "route 10.0.0.2/32 via 192.0.2.2 dev eth1 in table main";
    moved("12 route-added", "10.0.0.2:9", cause, |bench| {
        let destination = "10.0.0.2/32".parse().expect("a prefix");
        let gateway = "192.0.2.2".parse().expect("an address");
        bench
            .card()
            .add_route(Route::new(destination, "eth1").via(gateway))
            .expect("a route");
    });
}

fn a_rule_by_mark_lets_control_traffic_out() {
    scenario("12 rule-by-mark", NOTHING, |bench| {
        let everything = "0.0.0.0/0".parse().expect("a prefix");
        let gateway = "192.0.2.2".parse().expect("an address");
        bench
            .card()
            .add_route(Route::new(everything, "eth1").via(gateway).table(100))
            .expect("a route");
        bench
            .card()
            .add_rule(Rule {
                mark: 7,
                table: 100,
            })
            .expect("a rule");
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let marked = bench.send("udp --mark 7 --to 10.0.0.2:9 --count 600");
        let unmarked = bench.send("udp --to 10.0.0.2:9 --count 400");
        auditor
            .stop()
            .expect()
            .finding(
                escape()
                    .packets(600)
                    .by(&marked)
                    .cause("(fwmark 0x7) sent it to table 100"),
            )
            .finding(unpinned().packets(400).by(&unmarked))
            .nothing_else();
    });
}

fn an_address_bind_does_not_survive_its_link() {
    scenario("12 link-down-address-bind", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let mut sender =
            bench.sender("udp --bind 10.0.0.1 --to 10.0.0.2:9 --count 1000 --pause-after 400");
        sender.wait_for("paused");
        bench.card().set_down("fab0").expect("fab0 goes down");
        sender.go();
        let sent = sender.finish();
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(600)
            .by(&sent)
            .cause("link fab0 is down");
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 400)
            .finding(escape)
            .nothing_else();
    });
}

fn a_pinned_socket_stays_when_its_link_goes_down() {
    scenario("12 link-down-pinned", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let mut sender =
            bench.sender("udp --bind-device fab0 --to 10.0.0.2:9 --count 1000 --pause-after 400");
        sender.wait_for("paused");
        bench.card().set_down("fab0").expect("fab0 goes down");
        sender.go();
        let sent = sender.finish();
        assert_eq!(sent.sent, 400, "{sent:?}");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 400)
            .nothing_else();
    });
}

fn unpinned_control_traffic_leaves_well_by_the_current_route() {
    scenario("13 unpinned", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send("udp --to 10.0.0.2:9 --count 1000");
        auditor
            .stop()
            .expect()
            .finding(unpinned().packets(1000).by(&sent).cause("never bound"))
            .nothing_else();
    });
}

fn unpinned_control_traffic_fails_an_audit_that_fails_on_risks() {
    scenario("13 unpinned-fail-on-risk", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &["--fail-on", "risk"]);
        let sent = bench.send("udp --to [fd00::2]:9 --count 1000");
        auditor
            .stop()
            .expect()
            .finding(unpinned().packets(1000).by(&sent))
            .exit(2)
            .nothing_else();
    });
}

fn pinned_control_traffic_keeps_the_policy() {
    scenario("13 pinned", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 600");
        bench.send("udp --to 203.0.113.9:9 --count 400");
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 600)
            .contained_unpinned("eth1", 400)
            .nothing_else();
    });
}

fn a_policy_without_pinning_is_content_with_the_right_interface() {
    scenario("13 not-demanded", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        bench.send("udp --to 10.0.0.2:9 --count 1000");
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab0", 1000)
            .nothing_else();
    });
}

/// What a process sends on that was to bind its socket to a device that is not there.
const REFUSED: &str = "udp --bind-device fab9 --ignore-bind-error --to 10.9.0.9:9 --count 1000";

fn a_process_that_ignores_a_refused_bind_leaks() {
    scenario("14 bind-refused", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send(REFUSED);
        auditor
            .stop()
            .expect()
            .finding(escape().packets(1000).by(&sent).cause("fab9"))
            .nothing_else();
    });
}

/// The hook of the audit that came first reports to the kernel that it changed nothing, by a length of zero, which the second
/// one's hook sees.
#[test]
fn two_audits_of_a_cgroup_both_see_what_was_asked_for() {
    scenario("14 bind-refused-twice", &[Need::Tcx], |bench| {
        let auditors = [(); 2].map(|()| bench.audit_with(CONTROL_PLANE_PINNED, &[]));
        let sent = bench.send(REFUSED);
        for auditor in auditors {
            auditor
                .stop()
                .expect()
                .finding(escape().packets(1000).by(&sent).cause("fab9"))
                .nothing_else();
        }
    });
}

fn a_socket_rebound_to_the_outside_breaks_the_policy() {
    scenario("14 rebound-policy", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send(
            "udp --bind-device fab0 --to 10.9.0.9:9 --connect --count 1000 --rebind eth1 --rebind-after 400",
        );
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 400)
            .finding(
                escape()
                    .bound("eth1")
                    .packets(600)
                    .by(&sent)
                    .cause("rebound from fab0 to eth1"),
            )
            .nothing_else();
    });
}

fn a_socket_unbound_after_connect_leaks_a_contained_address() {
    scenario("14 unbound-policy", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send(
            "udp --bind-device fab0 --to 10.9.0.9:9 --connect --count 1000 --unbind-after 400",
        );
        // Both are leaks; the address is the first in the table, and the explanation names the other.
        let escape = leak("address-escape")
            .egress("eth1")
            .packets(600)
            .by(&sent)
            .cause("unbound from fab0");
        let report = auditor.stop();
        report
            .expect()
            .contained("fab0", "fab0", 400)
            .finding(escape)
            .nothing_else();
        assert!(
            report.findings[0].explanation.contains("policy-escape"),
            "{report}"
        );
    });
}

fn forwarded_control_traffic_leaks_without_a_socket() {
    forwarded("16 forwarded", "10.9.0.9:9", "10.0.0.2");
}

fn forwarded_ipv6_control_traffic_leaks_without_a_socket() {
    forwarded("16 forwarded-v6", "[fd00:9::9]:9", "[fd00::2]");
}

/// The peer takes the card for its router.
fn forwarded(name: &str, to: &'static str, from: &str) {
    scenario(name, NOTHING, |bench| {
        bench.let_forward();
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench
            .far_sender(&bench.chassis.peer, &format!("udp --to {to} --count 1000"))
            .finish();
        bench.wait_until_sent("eth1", 1000);
        let port = sent
            .local
            .as_deref()
            .and_then(|local| local.rsplit(':').next())
            .expect("a port");
        let leaked = escape()
            .packets(1000)
            .protocol("udp")
            .source(&format!("{from}:{port}"))
            .destination(to)
            .cause("forwarded");
        auditor.stop().expect().finding(leaked).nothing_else();
    });
}

fn forwarded_traffic_that_no_rule_names_is_contained() {
    scenario("16 forwarded-no-rule", NOTHING, |bench| {
        bench.let_forward();
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        bench
            .far_sender(&bench.chassis.peer, "udp --to 203.0.113.9:9 --count 1000")
            .finish();
        bench.wait_until_sent("eth1", 1000);
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 1000)
            .nothing_else();
    });
}

fn a_raw_socket_on_the_outside_leaks_control_traffic() {
    scenario("17 raw", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send("raw --bind-device eth1 --to 10.0.0.2 --count 1000");
        let leaked = escape()
            .bound("eth1")
            .packets(1000)
            .by(&sent)
            .protocol("253")
            .destination("10.0.0.2");
        auditor.stop().expect().finding(leaked).nothing_else();
    });
}

fn a_raw_ipv6_socket_on_the_outside_leaks_control_traffic() {
    scenario("17 raw-v6", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent = bench.send("raw --bind-device eth1 --to fd00::2 --count 1000");
        let leaked = escape()
            .bound("eth1")
            .packets(1000)
            .by(&sent)
            .protocol("253")
            .destination("fd00::2");
        auditor.stop().expect().finding(leaked).nothing_else();
    });
}

fn a_packet_socket_on_the_outside_leaks_control_traffic() {
    scenario("17 packet", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE_PINNED, &[]);
        let sent =
            bench.send("packet --device eth1 --from 192.0.2.1:4000 --to 10.0.0.2:9 --count 1000");
        let leaked = escape()
            .packets(1000)
            .by(&sent)
            .protocol("udp")
            .source("192.0.2.1:4000")
            .destination("10.0.0.2:9")
            .cause("packet socket");
        auditor.stop().expect().finding(leaked).nothing_else();
    });
}

fn a_packet_socket_that_forges_a_contained_address_leaks_it() {
    scenario("17 packet-forged", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let sent =
            bench.send("packet --device eth1 --from 10.0.0.1:4000 --to 203.0.113.9:9 --count 1000");
        let leaked = leak("address-escape")
            .egress("eth1")
            .packets(1000)
            .by(&sent)
            .source("10.0.0.1:4000");
        auditor.stop().expect().finding(leaked).nothing_else();
    });
}
