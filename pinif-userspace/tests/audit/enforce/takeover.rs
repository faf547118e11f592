//! An auditor that outlives its collector goes on dropping.

use super::{CONTAINED, LEAK, Outside, kept};
use crate::bench::{leak, scenario};
use crate::persist::place::Place;

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
