//! Interfaces that come, change their names and go while the auditor runs. Case 19 of docs/developers/scenarios.md among them.

use nix::sys::signal::Signal;

use crate::bench::plug::{flood_with_events, move_to, plug, rename};
use crate::bench::{Auditor, Bench, CONTROL_PLANE, leak, scenario};

const TCX: &[&str] = &[];
const CLSACT: &[&str] = &["--attach", "clsact"];

/// Plugs an interface in and waits until it is audited.
fn plug_audited(bench: &Bench, auditor: &mut Auditor<'_>, name: &str, index: Option<u32>) {
    plug(bench, bench.card(), name, index);
    auditor.wait_for_note(&format!("{name} is audited from now on"));
}

fn comes_later(bench: &Bench, arguments: &[&str]) {
    let mut auditor = bench.audit(arguments);
    plug_audited(bench, &mut auditor, "eth2", None);
    bench.send("udp --bind-device eth2 --to 198.51.100.2:9 --count 100");
    let sent = bench.send("udp --bind-device fab0 --pktinfo eth2 --to 10.0.0.2:9 --count 50");
    let escape = leak("device-escape").bound("fab0").egress("eth2");
    auditor
        .stop()
        .expect()
        .contained("eth2", "eth2", 100)
        .finding(escape.packets(50).by(&sent))
        .nothing_else();
}

#[test]
fn an_interface_that_comes_later_is_audited_from_its_first_packet() {
    scenario("service interface-later", &[], |bench| {
        comes_later(bench, TCX)
    });
}

#[test]
fn an_interface_that_comes_later_has_its_filter_from_its_first_packet() {
    scenario("service interface-later-clsact", &[], |bench| {
        comes_later(bench, CLSACT);
    });
}

#[test]
fn an_interface_that_comes_later_joins_its_zone() {
    scenario("service interface-zone", &[], |bench| {
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        plug_audited(bench, &mut auditor, "fab1", None);
        plug_audited(bench, &mut auditor, "eth2", None);
        bench.send("udp --bind-device fab1 --to 10.7.0.2:9 --count 100");
        let sent = bench.send("udp --bind-device eth2 --to 10.7.0.2:9 --count 50");
        let escape = leak("policy-escape").bound("eth2").egress("eth2");
        auditor
            .stop()
            .expect()
            .contained("fab1", "fab1", 100)
            .finding(escape.packets(50).by(&sent).rule("control-plane"))
            .nothing_else();
    });
}

#[test]
fn an_interface_that_nobody_asked_for_is_left_alone() {
    scenario("service interface-unwanted", &[], |bench| {
        let mut auditor = bench.audit(&["--interface", "fab*"]);
        plug(bench, bench.card(), "eth2", None);
        plug_audited(bench, &mut auditor, "fab1", None);
        for link in ["eth1", "eth2", "fab0", "fab1"] {
            bench.send(&format!(
                "udp --bind-device {link} --to 10.7.0.2:9 --count 10"
            ));
        }
        let report = auditor.stop();
        assert!(!report.stderr.contains("eth"), "{report}");
        assert_eq!(report.ready.interfaces, ["fab0"]);
        report
            .expect()
            .contained("fab0", "fab0", 10)
            .contained("fab1", "fab1", 10)
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}

#[test]
fn an_interface_that_is_moved_in_is_audited_until_it_is_moved_out() {
    scenario("service interface-moved", &[], |bench| {
        let (card, outside) = (&bench.chassis.card, &bench.chassis.outside);
        outside
            .veth("eth5", outside, "eth6", 0x51)
            .expect("it is new");
        outside.set_up("eth6").expect("it is there");
        let mut auditor = bench.audit(&[]);
        move_to(outside, "eth5", card);
        auditor.wait_for_note("eth5 is audited from now on");
        card.set_up("eth5").expect("it is there");
        card.wait_until_operational("eth5").expect("it is up");
        bench.send("udp --bind-device eth5 --to 198.51.100.2:9 --count 100");
        move_to(card, "eth5", outside);
        auditor.wait_for_note("eth5 is gone");
        outside.set_up("eth5").expect("it is there");
        outside.wait_until_operational("eth5").expect("it is up");
        let elsewhere = "udp --bind-device eth5 --to 198.51.100.2:9 --count 10";
        assert_eq!(bench.far_sender(outside, elsewhere).finish().sent, 10);
        auditor
            .stop()
            .expect()
            .contained("eth5", "eth5", 100)
            .nothing_else();
    });
}

#[test]
fn an_interface_keeps_its_counts_under_its_new_name() {
    scenario("service interface-renamed", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        plug_audited(bench, &mut auditor, "eth2", None);
        let mut sender = bench.sender(
            "udp --bind-device fab0 --pktinfo eth2 --to 10.0.0.2:9 --count 100 --pause-after 60",
        );
        sender.wait_for("paused");
        bench.send("udp --bind-device eth2 --to 198.51.100.2:9 --count 10");
        let before = auditor.wait_for_finding("device-escape");
        assert_eq!(before.egress_interface, "eth2");
        rename(bench.card(), "eth2", "wan0");
        auditor.wait_for_note("eth2 is called wan0 from now on");
        bench.send("udp --bind-device wan0 --to 198.51.100.2:9 --count 10");
        sender.go();
        let sent = sender.finish();
        let escape = leak("device-escape").bound("fab0").egress("wan0");
        let report = auditor.stop();
        assert_eq!(report.findings[0].id, before.id, "{report}");
        report
            .expect()
            .contained("wan0", "wan0", 20)
            .finding(escape.packets(100).by(&sent))
            .nothing_else();
    });
}

/// A socket that leaks by an index which one interface has after the other.
fn index_is_reused(bench: &Bench, arguments: &[&str]) {
    const INDEX: Option<u32> = Some(77);
    let mut auditor = bench.audit(arguments);
    plug_audited(bench, &mut auditor, "eth2", INDEX);
    let mut sender = bench.sender(
        "udp --bind-device fab0 --pktinfo eth2 --to 10.0.0.2:9 --count 100 --pause-after 60",
    );
    sender.wait_for("paused");
    bench.send("udp --bind-device eth2 --to 198.51.100.2:9 --count 10");
    bench.card().delete_link("eth2").expect("it is there");
    auditor.wait_for_note("eth2 is gone");
    plug_audited(bench, &mut auditor, "eth3", INDEX);
    bench.send("udp --bind-device eth3 --to 198.51.100.2:9 --count 5");
    sender.go();
    let sent = sender.finish();
    let report = auditor.stop();
    let ids: Vec<_> = report.findings.iter().map(|finding| &finding.id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{report}");
    let escape = |link| leak("device-escape").bound("fab0").egress(link).by(&sent);
    report
        .expect()
        .contained("eth2", "eth2", 10)
        .finding(escape("eth2").packets(60))
        .contained("eth3", "eth3", 5)
        .finding(escape("eth3").packets(40))
        .nothing_else();
}

#[test]
fn another_interface_with_the_index_of_one_that_is_gone_has_its_own_counts() {
    scenario("19 index-reused", &[], |bench| index_is_reused(bench, TCX));
}

#[test]
fn another_interface_with_the_index_of_one_that_is_gone_has_its_own_filter() {
    scenario("19 index-reused-clsact", &[], |bench| {
        index_is_reused(bench, CLSACT);
    });
}

#[test]
fn an_interface_that_comes_again_with_its_name_and_index_is_one_column() {
    scenario("19 index-and-name-reused", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        for _ in 0..3 {
            plug_audited(bench, &mut auditor, "eth2", Some(77));
            bench.send("udp --bind-device eth2 --to 198.51.100.2:9 --count 10");
            bench.card().delete_link("eth2").expect("it is there");
            auditor.wait_for_note("eth2 is gone");
        }
        auditor
            .stop()
            .expect()
            .contained("eth2", "eth2", 30)
            .nothing_else();
    });
}

/// More happens to the links while the auditor cannot look than the kernel keeps for it.
fn events_are_lost(bench: &Bench, arguments: &[&str]) {
    let card = bench.card();
    let mut auditor = bench.audit(arguments);
    plug_audited(bench, &mut auditor, "eth2", Some(77));
    bench.send("udp --bind-device eth2 --to 198.51.100.2:9 --count 10");

    auditor.signal(Signal::SIGSTOP);
    flood_with_events(card);
    card.delete_link("eth2").expect("it is there");
    plug(bench, bench.card(), "eth3", Some(77));
    plug(bench, bench.card(), "fab1", None);
    auditor.signal(Signal::SIGCONT);

    auditor.wait_for_note("fab1 is audited from now on");
    bench.send("udp --bind-device fab1 --to 198.51.100.2:9 --count 20");
    bench.send("udp --bind-device eth3 --to 198.51.100.2:9 --count 30");
    let report = auditor.stop();
    report
        .expect()
        .contained("fab1", "fab1", 20)
        .contained("eth3", "eth3", 30)
        .contained("eth2", "eth2", 10)
        .nothing_else();
}

#[test]
fn events_that_are_lost_are_made_up_for() {
    scenario("service events-lost", &[], |bench| {
        events_are_lost(bench, TCX)
    });
}

#[test]
fn events_that_are_lost_are_made_up_for_by_filters() {
    scenario("service events-lost-clsact", &[], |bench| {
        events_are_lost(bench, CLSACT);
    });
}
