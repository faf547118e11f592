//! What changes while no collector runs: interfaces, namespaces, the policy.

use pinif_lab::Namespace;

use super::place::{CLSACT, Place};
use crate::bench::plug::{plug, rename};
use crate::bench::{Bench, CONTROL_PLANE, Need, leak, scenario};

/// An interface is deleted, and another gets its index and its place in the totals of none.
fn another_with_its_index(bench: &Bench, arguments: &[&str]) {
    let place = Place::new();
    let card = bench.card();
    plug(bench, card, "eth2", None);
    let index = card.index("eth2").expect("it is there").0;
    let began = {
        let first = place.audit(bench, arguments);
        let began = first.began();
        let old = bench.send("udp --bind-device fab0 --pktinfo eth2 --to 10.0.0.2:9 --count 10");
        first.kill();
        card.delete_link("eth2").expect("it is there");
        plug(bench, card, "fab7", Some(index));
        // No program is attached to it.
        bench.send("udp --bind-device fab7 --to 10.0.0.2:9 --count 3");
        (began, old)
    };
    let (began, old) = began;
    let mut second = place.audit(bench, arguments).since(&began);
    second.wait_for_note("fab7 came while no collector ran");
    let new = bench.send("udp --bind-device fab0 --pktinfo fab7 --to 10.0.0.2:9 --count 5");
    let escape = || leak("device-escape").bound("fab0");
    // And once more: what the first collector found is known to the third as well.
    second.kill();
    let third = place.audit(bench, arguments).since(&began);
    third
        .stop()
        .expect()
        .finding(escape().egress("eth2").packets(10).by(&old))
        .finding(escape().egress("fab7").packets(5).by(&new))
        .nothing_else();
}

#[test]
fn an_interface_with_the_index_of_another_is_another() {
    scenario("persist another-interface", &[], |bench| {
        another_with_its_index(bench, &[]);
    });
}

#[test]
fn an_interface_with_the_index_of_another_is_another_by_its_filters() {
    scenario(
        "persist another-interface-clsact",
        &[Need::Program("tc")],
        |bench| {
            another_with_its_index(bench, CLSACT);
        },
    );
}

#[test]
fn a_renamed_interface_is_the_same() {
    scenario("persist renamed", &[], |bench| {
        let place = Place::new();
        let card = bench.card();
        plug(bench, card, "eth2", None);
        let first = place.audit(bench, &[]);
        let one = bench.send("udp --bind-device fab0 --pktinfo eth2 --to 10.0.0.2:9 --count 10");
        let began = first.kill();
        card.set_down("eth2").expect("it is there");
        rename(card, "eth2", "wan0");
        card.set_up("wan0").expect("it is there");
        card.wait_until_operational("wan0").expect("it is up");
        let two = bench.send("udp --bind-device fab0 --pktinfo wan0 --to 10.0.0.2:9 --count 5");
        let second = place.audit(bench, &[]).since(&began);
        let escape = || leak("device-escape").bound("fab0").egress("wan0");
        let report = second.stop();
        assert!(!report.stderr.contains("came while"), "{report}");
        report
            .expect()
            .finding(escape().packets(10).by(&one))
            .finding(escape().packets(5).by(&two))
            .nothing_else();
    });
}

#[test]
fn what_was_found_where_nothing_is_any_more_is_reported() {
    scenario("persist gone-namespace", &[], |bench| {
        let place = Place::new();
        let gone = Namespace::new("gone").expect("cannot make a namespace");
        plug(bench, &gone, "fab8", None);
        plug(bench, &gone, "eth8", None);
        let first = place.audit(bench, &["--netns", gone.name()]);
        let sent = bench
            .sender_in(
                &gone,
                "udp --bind-device fab8 --pktinfo eth8 --to 10.0.0.2:9 --count 10",
            )
            .finish();
        let began = first.kill();
        let name = gone.name().to_owned();
        drop(gone);
        let report = place.audit(bench, &[]).since(&began).stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!((&*finding.netns, finding.packets), (&*name, sent.sent));
        assert_eq!(finding.bound_device.as_deref(), Some("fab8"));
        assert_eq!(finding.egress_interface, "eth8");
        let cell = report.summary.matrix.iter().find(|cell| cell.netns == name);
        let cell = cell.expect("its cell");
        assert_eq!((&*cell.egress_interface, cell.packets), ("eth8", sent.sent));
        assert_eq!(report.summary.packets, sent.sent);
    });
}

const LEAK: &str = "udp --to 10.9.0.9:9 --count";

#[test]
fn the_same_policy_goes_on_with_its_names() {
    scenario("persist same-policy", &[], |bench| {
        let place = Place::new();
        let audit = || place.auditor(bench).policy(CONTROL_PLANE).start();
        let first = audit();
        let one = bench.send(&format!("{LEAK} 10"));
        let began = first.kill();
        let two = bench.send(&format!("{LEAK} 7"));
        let second = audit().since(&began);
        let escape = || leak("policy-escape").egress("eth1").rule("control-plane");
        second
            .stop()
            .expect()
            .finding(escape().packets(10).by(&one))
            .finding(escape().packets(7).by(&two))
            .nothing_else();
    });
}

#[test]
fn another_policy_does_not_lend_its_names() {
    scenario("persist another-policy", &[], |bench| {
        let place = Place::new();
        let first = place.auditor(bench).policy(CONTROL_PLANE).start();
        let one = bench.send(&format!("{LEAK} 10"));
        let began = first.kill();
        let another = CONTROL_PLANE.replace("control-plane", "another");
        let second = place.auditor(bench).policy(&another).start().since(&began);
        let two = bench.send(&format!("{LEAK} 7"));
        let report = second.stop();
        let escape = || leak("policy-escape").egress("eth1");
        report
            .expect()
            .finding(escape().packets(10).by(&one))
            .finding(escape().packets(7).by(&two).rule("another"))
            .nothing_else();
        let of_first = report.findings.iter().find(|finding| finding.packets == 10);
        let of_first = of_first.expect("it is there");
        assert_eq!(of_first.rule, None, "{report}");
        let words = "of a policy that an earlier collector had in force";
        assert!(of_first.explanation.contains(words), "{report}");
    });
}

#[test]
fn what_is_not_wanted_any_more_is_detached() {
    scenario("persist fewer-interfaces", &[Need::Tcx], |bench| {
        let place = Place::new();
        let first = place.audit(bench, &[]);
        let interfaces = first.ready().interfaces.len();
        let began = first.kill();
        assert_eq!(place.links(), interfaces);
        let second = place.audit(bench, &["--interface", "fab*"]).since(&began);
        assert_eq!(place.links(), 1);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 10");
        bench.send("udp --bind-device eth1 --to 192.0.2.2:9 --count 10");
        second
            .stop()
            .expect()
            .contained("fab0", "fab0", 10)
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}
