//! What arrives is watched on every interface, for as long as a policy asks for it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pinif_lab::Route;

use super::{NOTHING, end, escape, plug, receiver, send, watched};
use crate::bench::plug::{move_to, rename};
use crate::bench::{Auditor, Bench, CONTROL_PLANE, Events, Need, leak, scenario, wait_until};
use crate::gaps::foreign::Foreign;

#[test]
fn an_interface_that_comes_later_is_watched_too() {
    scenario("20 hotplug", NOTHING, |bench| {
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        plug(card, "eth2", outside, "198.51.100.1/24", "198.51.100.2/24");
        auditor.wait_for_note("eth2 is audited from now on");
        let there = Route::new("10.0.0.1/32".parse().expect("a prefix"), "eth2");
        let gateway = "198.51.100.1".parse().expect("an address");
        outside.add_route(there.via(gateway)).expect("a route");
        let receiver = receiver(bench, "--bind 10.0.0.1:5000");
        send(bench, outside, "udp --to 10.0.0.1:5000 --count 1000", 1000);
        let escaped = leak("ingress-escape").egress("eth2").packets(1000);
        auditor
            .stop()
            .expect()
            .arrived(escaped.by(&end(receiver)))
            .nothing_else();
    });
}

/// What the kernel refuses shows when it was asked: where ingress takes no program more, that is reported before the interface is said to
/// be audited, or to be called otherwise.
#[test]
fn an_interface_is_said_to_be_audited_when_what_arrives_is_watched() {
    scenario("20 hotplug-order", &[Need::Tcx], |bench| {
        let mut auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        let mut full = Vec::new();
        for (number, name) in ["eth2", "fab2"].into_iter().enumerate() {
            let mac = 0x61 + 2 * number as u8;
            outside
                .veth(name, outside, &format!("to-{name}"), mac)
                .expect("it is new");
            full.push(Foreign::fill_ingress(outside, name));
            move_to(outside, name, card);
            auditor.wait_for_note(&format!("{name} is audited from now on"));
        }
        rename(card, "fab2", "eth3");
        auditor.wait_for_note("fab2 is called eth3 from now on");
        let report = auditor.stop();
        let at = |words: &str| report.stderr.find(words).unwrap_or(usize::MAX);
        for (refused, said) in [
            ("arrives by eth2 is not", "eth2 is audited"),
            ("arrives by eth3 is not", "fab2 is called"),
        ] {
            assert!(at(refused) < at(said), "{report}");
        }
        report.expect().nothing_else();
    });
}

#[test]
fn without_a_policy_nobody_looks_at_what_arrives() {
    scenario("20 no-policy", &[Need::Tcx], |bench| {
        let auditor = bench.audit(&[]);
        assert_eq!(watched(bench), [0, 0, 0]);
        let receiver = receiver(bench, "--bind 10.0.0.1:5000");
        let to_it = "udp --to 10.0.0.1:5000 --count 100";
        send(bench, &bench.chassis.outside, to_it, 100);
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}

/// Starts an auditor whose policy is in this file.
fn audit<'a>(bench: &'a Bench, file: &Path) -> Auditor<'a> {
    let file = file.to_str().expect("UTF-8");
    bench.audit(&["--policy", file])
}

#[test]
fn what_arrives_is_watched_for_as_long_as_a_policy_asks_for_it() {
    scenario("20 reload", &[Need::Tcx], |bench| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        let replace = |text: &str| {
            let new = folder.path().join("new");
            fs::write(&new, text).expect("it is ours");
            fs::rename(new, &file).expect("it is ours");
        };
        let harmless = "[zone.front]\ninterfaces = [\"eth*\"]\n";
        replace(harmless);
        let mut auditor = audit(bench, &file);
        assert_eq!(watched(bench), [0, 0, 0]);
        let receiver = receiver(bench, "--bind 10.0.0.1:5000");
        let send_from_outside = |count: u64| {
            let to_it = format!("udp --to 10.0.0.1:5000 --count {count}");
            send(bench, &bench.chassis.outside, &to_it, count);
        };
        send_from_outside(400);
        replace(CONTROL_PLANE);
        auditor.wait_for_note("a new policy is in force: 2 zones, 1 rule");
        assert_eq!(watched(bench), [0, 0, 1]);
        send_from_outside(600);
        replace(&harmless.replace("front", "faceplate"));
        auditor.wait_for_note("a new policy is in force: 1 zone, 0 rules");
        send_from_outside(100);
        let escaped = escape().packets(600).by(&end(receiver));
        // A program that is detached is no event.
        let detached = Events::every(Duration::from_millis(20));
        wait_until("nothing is watched", &detached, || {
            watched(bench) == [0, 0, 0]
        });
        auditor.stop().expect().arrived(escaped).nothing_else();
    });
}

#[test]
fn a_filter_that_a_killed_auditor_left_is_removed() {
    let needs = &[Need::Program("tc")];
    scenario("20 clsact-killed", needs, |bench| {
        let ours = || {
            ["lo", "fab0", "eth1"].map(|link| {
                let filters = bench.ask("tc", &format!("filter show dev {link} ingress"));
                filters.matches("pinif_ingress direct-action").count()
            })
        };
        let clsact = &["--attach", "clsact"];
        bench.audit_with(CONTROL_PLANE, clsact).kill();
        assert_eq!(ours(), [0, 0, 1], "a filter outlives its auditor");
        // This one watches nothing that arrives, and removes it all the same.
        bench.audit(clsact).stop().expect().nothing_else();
        assert_eq!(ours(), [0, 0, 0]);
        let auditor = bench.audit_with(CONTROL_PLANE, clsact);
        assert_eq!(ours(), [0, 0, 1]);
        auditor.stop().expect().nothing_else();
        assert_eq!(ours(), [0, 0, 0]);
    });
}
