//! The kernel refuses what refuses packets at the cgroup: what must not leave is dropped where it leaves.

use pinif_userspace::findings::line::FindingLine;

use super::{CONTAINED, ENFORCE, LEAK, Outside, kept};
use crate::bench::{Need, risk, scenario};
use crate::gaps::foreign::{self, CgroupHook};

const NOTHING: &[Need] = &[];

#[test]
fn what_cannot_be_refused_is_dropped_where_it_leaves_and_that_is_reported() {
    scenario("enforce missing-hook", NOTHING, |bench| {
        foreign::alone_on(bench.cgroup_path(), CgroupHook::Egress);
        let outside = Outside::of(bench);
        let auditor = bench.audit(ENFORCE);
        assert!(auditor.ready().enforce);
        let escaped = bench.send(&format!("{LEAK} --count 1000"));
        bench.send(&format!("{CONTAINED} --count 500"));
        // No error is returned where it is dropped.
        assert_eq!(escaped.sent, 1000);
        let report = auditor.stop();
        outside.got_nothing();
        assert_eq!(report.sent_by("eth1").packets, 0, "{report}");
        assert_eq!(report.summary.dropped, 1000, "{report}");
        let missing = risk("unaudited")
            .egress("*")
            .cause("the kernel refused pinif_refuse on the cgroup (Operation not permitted");
        let follows = "What must not leave is dropped where it leaves, and not refused before: the kernel looks for its neighbour meanwhile";
        let explained = |finding: &FindingLine| finding.explanation.contains(follows);
        assert!(report.findings.iter().any(explained), "{report}");
        report
            .expect()
            .finding(missing)
            .finding(kept().packets(1000).by(&escaped))
            .contained("fab0", "fab0", 500)
            .total(500)
            .nothing_else();
    });
}
