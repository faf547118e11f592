//! An auditor that outlives its collector goes on dropping.

use super::{CONTAINED, LEAK, Outside, kept};
use crate::bench::{Bench, leak, scenario};
use crate::persist::place::{CLSACT, Place};
use crate::persist::upgrade::Build;

#[test]
fn nothing_leaves_between_two_collectors() {
    scenario("enforce persist", &[], |bench| {
        let place = Place::new();
        let outside = Outside::of(bench);
        let first = place.audit(bench, &["--enforce"]);
        let one = bench.send(&format!("{LEAK} --count 1000"));
        let began = first.kill();
        let two = bench.send(&format!("{LEAK} --count 3000"));
        bench.send(&format!("{CONTAINED} --count 1000"));
        outside.got_nothing();
        let second = place.audit(bench, &["--enforce"]).since(&began);
        let three = bench.send(&format!("{LEAK} --count 500"));
        second
            .stop()
            .expect()
            .finding(kept().packets(1000).by(&one))
            .finding(kept().packets(3000).by(&two))
            .finding(kept().packets(500).by(&three))
            .contained("fab0", "fab0", 1000)
            .total(1000)
            .nothing_else();
        outside.got_nothing();

        // The next one is not asked to drop, and says what that means.
        let third = place.audit(bench, &[]).since(&began);
        let four = bench.send(&format!("{LEAK} --count 100"));
        assert_eq!(outside.got(), 100);
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        let report = third.stop();
        let note = "without --enforce they leave from now on";
        assert!(report.stderr.contains(note), "{report}");
        report
            .expect()
            .finding(kept().packets(1000).by(&one))
            .finding(kept().packets(3000).by(&two))
            .finding(kept().packets(500).by(&three))
            .finding(escape.packets(100).by(&four))
            .contained("fab0", "fab0", 1000)
            .nothing_else();
    });
}

/// One build after another takes over while a program leaks as fast as it can.
fn nothing_leaves_while_builds_change(bench: &Bench, arguments: &[&str]) {
    let place = Place::new();
    let build = Build::of_other_programs();
    let outside = Outside::of(bench);
    let arguments: Vec<_> = ["--enforce"].iter().chain(arguments).copied().collect();
    let began = place.audit(bench, &arguments).kill();
    let mut leaking = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
    leaking.wait_for("ready").go();
    for round in 0..3 {
        let setup = place.auditor(bench).arguments(&arguments);
        let setup = match round % 2 {
            0 => setup.changed(|command| build.runs(command)),
            _ => setup,
        };
        setup.start().kill();
    }
    leaking.go();
    let leaked = leaking.finish();
    outside.got_nothing();
    let tried = leaked.sent + leaked.refused.values().sum::<u64>();
    let last = place.audit(bench, &arguments).since(&began).stop();
    last.expect()
        .finding(kept().packets(tried).by(&leaked))
        .nothing_else();
}

#[test]
fn nothing_leaves_while_another_build_takes_over() {
    scenario("enforce upgrade", &[], |bench| {
        nothing_leaves_while_builds_change(bench, &[]);
    });
}

#[test]
fn nothing_leaves_while_another_build_takes_over_filters() {
    scenario("enforce upgrade-clsact", &[], |bench| {
        nothing_leaves_while_builds_change(bench, CLSACT);
    });
}

#[test]
fn a_collector_that_drops_takes_over_from_one_that_does_not() {
    scenario("enforce persist-later", &[], |bench| {
        let place = Place::new();
        let outside = Outside::of(bench);
        let began = place.audit(bench, &[]).kill();
        let second = place.audit(bench, &["--enforce"]).since(&began);
        bench.send(&format!("{CONTAINED} --count 100"));
        let sent = bench.send(&format!("{LEAK} --count 50"));
        second
            .stop()
            .expect()
            .finding(kept().packets(50).by(&sent))
            .contained("fab0", "fab0", 100)
            .nothing_else();
        outside.got_nothing();
    });
}
