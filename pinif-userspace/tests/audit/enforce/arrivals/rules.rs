//! What a rule says of what breaks it where it arrives.

use pinif_ebpf::loss::Loss;

use super::{NOTHING, Receiver, kept_out, ours, send, wait_until_dropped};
use crate::bench::{Bench, Finding, leak, scenario};
use crate::enforce::{ENFORCE, rules::File, rules::control_plane};

/// From an address that the rule keeps on the backplane, to the front port's own.
const KEPT: &str = "udp --bind 10.0.0.2 --to 192.0.2.1:5000";
/// From an address of which it says nothing.
const OTHER: &str = "udp --bind 203.0.113.9 --to 192.0.2.1:5000";

/// What came in against a rule.
fn came_in() -> Finding {
    ours(leak("ingress-escape").egress("eth1"))
}

fn outside(bench: &Bench, arguments: &str) {
    send(bench, &bench.chassis.outside, arguments);
}

#[test]
fn what_breaks_a_rule_is_kept_out() {
    scenario("enforce arrival-rule", NOTHING, |bench| {
        let receiver = Receiver::of(bench, "192.0.2.1:5000");
        let mut auditor = bench.audit_with(&control_plane("kept", ""), ENFORCE);
        outside(bench, &format!("{KEPT} --count 600"));
        wait_until_dropped(&mut auditor, &[600]);
        outside(bench, &format!("{OTHER} --count 100"));
        receiver.gets(100);
        let report = auditor.stop();
        assert_eq!(report.summary.dropped, 600, "{report}");
        report
            .expect()
            .finding(kept_out().rule("kept").packets(600))
            .nothing_else();
    });
}

#[test]
fn an_alert_comes_in_and_what_is_of_a_zone_does_not() {
    scenario("enforce arrival-alert", NOTHING, |bench| {
        let policy = control_plane("watched", "action = \"alert\"");
        let contained = policy.replace("[\"fab*\"]\n", "[\"fab*\"]\ncontained = true\n");
        let front = Receiver::of(bench, "192.0.2.1:5000");
        let inside = Receiver::of(bench, "10.0.0.1:5001");
        let mut auditor = bench.audit_with(&contained, ENFORCE);
        outside(bench, &format!("{KEPT} --count 100"));
        front.gets(100);
        // For the zone's sake, whatever the rule says of what breaks it.
        outside(bench, "udp --bind 10.0.0.2 --to 10.0.0.1:5001 --count 70");
        wait_until_dropped(&mut auditor, &[70]);
        let report = auditor.stop();
        assert_eq!(inside.got(), 0);
        assert_eq!(report.summary.dropped, 70, "{report}");
        report
            .expect()
            .arrived(came_in().rule("watched").packets(100))
            .finding(kept_out().rule("watched").packets(70))
            .nothing_else();
    });
}

#[test]
fn what_an_exception_allows_comes_in() {
    scenario("enforce arrival-allow", NOTHING, |bench| {
        let rule = control_plane("kept", "");
        let (zones, rule) = rule.split_once("[[rule]]").expect("a rule");
        let policy = format!(
            "{zones}contained = true\n[[rule]]\nname = \"scanner\"\ndestination = [\"10.0.0.2\", \"192.0.2.2\"]\n\
             action = \"allow\"\n[[rule]]{rule}"
        );
        let front = Receiver::of(bench, "192.0.2.1:5000");
        let inside = Receiver::of(bench, "10.0.0.1:5001");
        let auditor = bench.audit_with(&policy, ENFORCE);
        outside(bench, &format!("{KEPT} --count 100"));
        front.gets(100);
        outside(bench, "udp --to 10.0.0.1:5001 --count 100");
        inside.gets(100);
        auditor.stop().expect().nothing_else();
    });
}

#[test]
fn what_came_in_and_what_was_kept_out_are_two_findings() {
    scenario("enforce arrival-reload", NOTHING, |bench| {
        let file = File::new(&control_plane("kept", "action = \"alert\""));
        let receiver = Receiver::of(bench, "192.0.2.1:5000");
        let mut auditor = file.audit(bench);
        let mut sender = bench.far_sender(
            &bench.chassis.outside,
            &format!("{KEPT} --until-line --wait-stdin"),
        );
        sender.wait_for("ready").go();
        auditor.wait_for_finding_that("it came in", |finding| !finding.dropped);
        file.becomes(&mut auditor, &control_plane("kept", ""));
        auditor.wait_for_finding_that("it is kept out", |finding| finding.dropped);
        file.becomes(&mut auditor, &control_plane("kept", "action = \"alert\""));
        let sent = sender.go_and_finish().sent;
        // What comes in is as ever once more.
        receiver.got();
        outside(bench, &format!("{OTHER} --count 1"));
        receiver.gets(1);
        let report = auditor.stop();
        let dropped = report.summary.dropped;
        assert!((1..sent).contains(&dropped), "{report}");
        report
            .expect()
            .arrived(came_in().rule("kept").packets(sent - dropped))
            .finding(kept_out().rule("kept").packets(dropped))
            .nothing_else();
    });
}

/// From an address that a rule keeps on the backplane, for the port that it names, behind so many headers.
fn behind(options: u32, count: u32) -> String {
    format!(
        "packet --device eth0 --from [fd00::2]:4000 --to [2001:db8::1]:5000 --options {options} --count {count}"
    )
}

const BY_PORT: &str = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"server\"\n\
    destination = [\"fd00::/8\"]\nsource_port = 5000\nonly_via = [\"backplane\"]\n";

#[test]
fn what_cannot_be_read_is_kept_out_where_it_may_break_a_rule() {
    scenario("enforce arrival-unparsed", NOTHING, |bench| {
        let receiver = Receiver::of(bench, "[2001:db8::1]:5000");
        let before = bench.received();
        let mut auditor = bench.audit_with(BY_PORT, ENFORCE);
        // One header more than is followed: nothing is found, and it is counted as not read.
        outside(bench, &behind(9, 40));
        // More tags than are followed.
        outside(
            bench,
            "packet --device eth0 --from [fd00::2]:4000 --to [2001:db8::1]:5000 --vlan 0 --service-vlan 0 --priority-tags 2 --count 30",
        );
        outside(bench, &behind(8, 60));
        wait_until_dropped(&mut auditor, &[60]);
        let report = auditor.stop();
        assert_eq!((bench.received(), receiver.got()), (before, 0), "{report}");
        assert_eq!(report.summary.dropped, 130, "{report}");
        report
            .expect()
            .finding(kept_out().rule("server").packets(60))
            .unread("eth1", 70)
            .lost(Loss::Unparsed, 70)
            .nothing_else();

        let pass = format!("unparsed = \"pass\"\n{BY_PORT}");
        let auditor = bench.audit_with(&pass, ENFORCE);
        outside(bench, &behind(9, 40));
        receiver.gets(40);
        auditor.stop().expect().nothing_else();
    });
}
