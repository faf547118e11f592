//! The collector is killed, and nothing is lost: what was sent while either collector ran, and in between, is in one report.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::place::{CLSACT, Place};
use crate::bench::{Bench, Events, Need, Pinif, leak, scenario, wait_until};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
const CONTAINED: &str = "udp --bind-device fab0 --to 10.0.0.2:9";
/// How often a collector's descriptors are counted, which give no event: often enough to meet it in the middle of its start.
const LOOK: Duration = Duration::from_millis(1);

/// Two collectors, and the time between them, in which sockets are made and closed as well.
fn two_collectors(bench: &Bench, arguments: &[&str]) {
    let place = Place::new();
    let first = place.audit(bench, arguments);
    let one = bench.send(&format!("{LEAK} --count 1000"));
    bench.send(&format!("{CONTAINED} --count 100"));
    let began = first.kill();

    let two = bench.send(&format!("{LEAK} --count 700"));
    bench.send(&format!("{CONTAINED} --count 50"));

    let second = place.audit(bench, arguments).since(&began);
    let three = bench.send(&format!("{LEAK} --count 300"));
    let escape = || leak("device-escape").bound("fab0").egress("eth1");
    let report = second.stop();
    report
        .expect()
        .finding(escape().packets(1000).by(&one))
        .finding(escape().packets(700).by(&two))
        .finding(escape().packets(300).by(&three))
        .contained("fab0", "fab0", 150)
        .nothing_else();
    let stderr = &report.stderr;
    assert!(
        stderr.contains("took over from an earlier collector"),
        "{stderr}"
    );
    // It names the directory, which is none of pinif's own choice.
    let (_, after) = stderr.split_once("`pinif detach --persist=").expect(stderr);
    assert!(after.contains("` ends it"), "{stderr}");

    // The end of a collector is not the auditor's.
    let four = bench.send(&format!("{LEAK} --count 10"));
    let third = place.audit(bench, arguments).since(&began);
    third
        .stop()
        .expect()
        .finding(escape().packets(1000).by(&one))
        .finding(escape().packets(700).by(&two))
        .finding(escape().packets(300).by(&three))
        .finding(escape().packets(10).by(&four))
        .contained("fab0", "fab0", 150)
        .nothing_else();
}

#[test]
fn the_next_collector_reports_the_total_of_all_collectors() {
    scenario("persist killed", &[], |bench| two_collectors(bench, &[]));
}

#[test]
fn the_next_collector_takes_over_filters_as_well() {
    scenario("persist killed-clsact", &[Need::Program("tc")], |bench| {
        two_collectors(bench, CLSACT);
    });
}

/// Starts a collector, and kills it once it has so many descriptors: how far it has come. At the latest, when it is ready.
fn kill_at(bench: &Bench, place: &Place, descriptors: usize) {
    let command = place.auditor(bench).arguments(["--format", "json"]);
    kill_command_at(command.into_command(), descriptors);
}

fn kill_command_at(command: Command, descriptors: usize) {
    let mut collector = Pinif::start(command);
    let all = format!("/proc/{}/fd", collector.pid());
    wait_until(
        "the collector has come so far",
        &Events::every(LOOK),
        || {
            let open = fs::read_dir(&all).map_or(0, Iterator::count);
            open >= descriptors || collector.has_spoken()
        },
    );
    collector.kill();
}

#[test]
fn a_collector_may_be_killed_at_any_moment_of_its_start() {
    scenario("persist killed-at-start", &[], |bench| {
        let place = Place::new();
        // Before anything is complete, nothing counts, and the next start is the first.
        for descriptors in [4, 12, 24, 40, 56] {
            kill_at(bench, &place, descriptors);
        }
        let began = place.audit(bench, &[]).kill();
        let mut contained = bench.sender(&format!("{CONTAINED} --until-line --wait-stdin"));
        let mut leaking = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        contained.wait_for("ready").go();
        leaking.wait_for("ready").go();
        // Under load, while it takes over.
        for descriptors in [4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80] {
            kill_at(bench, &place, descriptors);
        }
        let auditor = place.audit(bench, &[]).since(&began);
        contained.go();
        leaking.go();
        let (contained, leaked) = (contained.finish(), leaking.finish());
        assert!(contained.refused.is_empty() && leaked.refused.is_empty());
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(escape.packets(leaked.sent).by(&leaked))
            .contained("fab0", "fab0", contained.sent)
            .nothing_else();
    });
}

#[test]
fn a_collector_may_be_killed_while_it_reads_and_reports() {
    scenario("persist killed-while-reading", &[], |bench| {
        let place = Place::new();
        let mut began = None;
        let mut storm = bench.sender(
            "storm --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --threads 2 --count 3000 --wait-stdin",
        );
        let mut steady = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        storm.wait_for("ready");
        steady.wait_for("ready");
        for run in 0..4 {
            let mut auditor = place.audit(bench, &[]);
            if let Some(began) = &began {
                auditor = auditor.since(began);
            } else {
                storm.go();
                steady.go();
            }
            // While it reports, or of reading once a second.
            auditor.wait_for_finding("device-escape");
            if run % 2 == 1 {
                auditor.wait_for_finding_that("a finding that grew", |finding| finding.packets > 1);
            }
            began = Some(auditor.kill());
        }
        steady.go();
        let (storm, steady) = (storm.finish(), steady.finish());
        let auditor = place.audit(bench, &[]).since(&began.expect("it began"));
        let report = auditor.stop();
        assert_eq!(storm.sent, 6000, "{:?}", storm.refused);
        let counted: u64 = report.findings.iter().map(|finding| finding.packets).sum();
        assert_eq!(counted, storm.sent + steady.sent, "{}", report.stderr);
        assert_eq!(report.findings.len(), 1, "they are of one program");
        assert_eq!(report.summary.packets, counted);
        assert_eq!(report.sent_by("eth1").packets, counted);
    });
}

/// Control traffic stays on the backplane; and a rule of this name, before it, is for other traffic.
fn policy(other: &str) -> String {
    let rule = |name: &str, destination: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\ndestination = [\"{destination}\"]\nonly_via = [\"backplane\"]\n"
        )
    };
    let (other, control_plane) = (
        rule(other, "198.51.100.0/24"),
        rule("control-plane", "10.0.0.0/8"),
    );
    format!("[zone.backplane]\ninterfaces = [\"fab*\"]\n\n{other}\n{control_plane}")
}

#[test]
fn a_collector_may_be_killed_while_its_policy_changes() {
    scenario("persist killed-at-reload", &[], |bench| {
        let place = Place::new();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.toml");
        // As a whole: a collector that starts reads it at any time.
        let write = |rule: &str| {
            let new = folder.path().join("new");
            fs::write(&new, policy(rule)).expect("it is ours");
            fs::rename(new, &file).expect("it is ours");
        };
        write("first");
        let arguments = ["--policy", file.to_str().expect("UTF-8")];
        let mut auditor = place.audit(bench, &arguments);
        let began = auditor.began();
        let mut contained = bench.sender("udp --to 10.0.0.2:9 --until-line --wait-stdin");
        let mut leaking = bench.sender("udp --to 10.9.0.9:9 --until-line --wait-stdin");
        contained.wait_for("ready").go();
        leaking.wait_for("ready").go();
        for run in 0..6 {
            for change in 0..=run % 3 {
                write(&format!("rule-{run}-{change}"));
                auditor.signal(Signal::SIGHUP);
            }
            if run % 2 == 0 {
                auditor.wait_for_note("a new policy is in force");
            }
            auditor.kill();
            auditor = place.audit(bench, &arguments).since(&began);
        }
        contained.go();
        leaking.go();
        let (contained, leaked) = (contained.finish(), leaking.finish());
        let escape = leak("policy-escape").egress("eth1").rule("control-plane");
        auditor
            .stop()
            .expect()
            .finding(escape.packets(leaked.sent).by(&leaked))
            .contained_unpinned("fab0", contained.sent)
            .nothing_else();
    });
}

#[test]
fn what_leaks_is_dropped_while_no_collector_runs() {
    scenario("persist fails-closed", &[], |bench| {
        let place = Place::new();
        let enforce = ["--enforce"];
        let first = place.audit(bench, &enforce);
        let mut leaking = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
        let mut contained = bench.sender(&format!("{CONTAINED} --until-line --wait-stdin"));
        contained.wait_for("ready").go();
        leaking.wait_for("ready").go();
        let began = first.kill();
        for descriptors in [4, 20, 40, 60] {
            let command = place.auditor(bench).arguments(enforce);
            let command = command.arguments(["--format", "json"]).into_command();
            kill_command_at(command, descriptors);
        }
        let last = place.audit(bench, &enforce).since(&began);
        leaking.go();
        contained.go();
        let (leaked, contained) = (leaking.finish(), contained.finish());
        let left = bench.card().sent("eth1").expect("the card has it");
        let report = last.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        assert_eq!(finding.socket_cookie, Some(leaked.cookie));
        // No packet has left, neither during a run nor between two.
        assert_eq!(left.packets, 0, "{report}");
        let cell = |interface: &str| {
            let cells = report.summary.matrix.iter();
            let of = cells.filter(|cell| cell.egress_interface == interface);
            of.map(|cell| cell.packets).sum::<u64>()
        };
        assert_eq!(cell("fab0"), contained.sent, "{report}");
        assert_eq!(report.summary.dropped, cell("eth1"), "{report}");
    });
}
