//! What a rule says of what breaks it, and policies that change while they are enforced.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{ENFORCE, LEAK, Outside, attempts, kept};
use crate::bench::{Auditor, Bench, CONTROL_PLANE, Need, leak, risk, scenario};

const NOTHING: &[Need] = &[];
/// Control traffic that the default route takes outside.
const ESCAPE: &str = "udp --to 10.9.0.9:9";

/// Control traffic stays on the backplane, by a rule of this name, with these further lines.
pub fn control_plane(rule: &str, lines: &str) -> String {
    format!(
        "[zone.backplane]\ninterfaces = [\"fab*\"]\n\n[[rule]]\nname = \"{rule}\"\ndestination = [\"10.0.0.0/8\"]\n\
         only_via = [\"backplane\"]\n{lines}\n"
    )
}

#[test]
fn an_alert_is_reported_and_leaves() {
    scenario("enforce alert", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let policy = control_plane("watched", "action = \"alert\"");
        let auditor = bench.audit_with(&policy, ENFORCE);
        let escaped = bench.send(&format!("{ESCAPE} --count 1000"));
        // A leak for another reason is none of the rule's.
        let overridden = bench.send(&format!("{LEAK} --count 2000"));
        let report = auditor.stop();
        assert_eq!(outside.got(), 1000, "{report}");
        let escape = leak("policy-escape").rule("watched").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1000).by(&escaped))
            .finding(kept().packets(2000).by(&overridden))
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_risk_beside_an_alert_leaves_and_a_leak_beside_it_does_not() {
    scenario("enforce alert-beside-address", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let policy = control_plane("watched", "action = \"alert\"");
        let auditor = bench.audit_with(&policy, ENFORCE);
        // Its source is fab0's alone, whose zone is not contained: a risk.
        let escaped = bench.send("udp --bind 10.0.0.1 --to 10.9.0.9:9 --count 1000");
        let report = auditor.stop();
        assert_eq!(outside.got(), 1000, "{report}");
        let escape = leak("policy-escape").rule("watched").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1000).by(&escaped))
            .nothing_else();

        let contained = policy.replace("[\"fab*\"]\n", "[\"fab*\"]\ncontained = true\n");
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(&contained, ENFORCE);
        let escaped = bench.send("udp --bind 10.0.0.1 --to 10.9.0.9:9 --count 1000");
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("address-escape").egress("eth1").dropped();
        report
            .expect()
            .finding(escape.packets(1000).by(&escaped))
            .nothing_else();
    });
}

#[test]
fn a_rule_may_drop_what_is_unpinned() {
    scenario("enforce unpinned", NOTHING, |bench| {
        let policy = control_plane("strict", "pinned = true\naction = \"drop\"");
        let auditor = bench.audit_with(&policy, ENFORCE);
        let unpinned = bench.send("udp --to 10.0.0.2:9 --count 2000");
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 1000");
        let report = auditor.stop();
        assert_eq!(report.sent_by("fab0").packets, 1000, "{report}");
        let expected = risk("unpinned").rule("strict").egress("fab0").dropped();
        report
            .expect()
            .finding(expected.packets(2000).by(&unpinned))
            .contained("fab0", "fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn an_unpinned_socket_is_a_risk_that_leaves() {
    scenario("enforce unpinned-unsaid", NOTHING, |bench| {
        let auditor = bench.audit_with(&control_plane("strict", "pinned = true"), ENFORCE);
        let unpinned = bench.send("udp --to 10.0.0.2:9 --count 1000");
        let expected = risk("unpinned").rule("strict").egress("fab0");
        auditor
            .stop()
            .expect()
            .finding(expected.packets(1000).by(&unpinned))
            .nothing_else();
    });
}

#[test]
fn a_rule_that_drops_says_so_where_nothing_is_enforced() {
    scenario("enforce rule-not-enforced", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let policy = control_plane("strict", "action = \"drop\"");
        let auditor = bench.audit_with(&policy, &[]);
        let escaped = bench.send(&format!("{ESCAPE} --count 1000"));
        let report = auditor.stop();
        assert_eq!(outside.got(), 1000, "{report}");
        let warning =
            "warning: rule strict has action = \"drop\", and nothing is dropped without --enforce";
        assert_eq!(report.stderr.matches(warning).count(), 1, "{report}");
        let escape = leak("policy-escape").rule("strict").egress("eth1");
        report
            .expect()
            .finding(escape.packets(1000).by(&escaped))
            .nothing_else();
    });
}

/// A policy's file that changes.
pub struct File(TempDir);

impl File {
    pub fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().expect("a folder"));
        file.write(text);
        file
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("policy.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("it is ours");
    }

    pub fn audit<'a>(&self, bench: &'a Bench) -> Auditor<'a> {
        let path = self.path();
        bench.audit(&["--enforce", "--policy", path.to_str().expect("UTF-8")])
    }

    pub fn becomes(&self, auditor: &mut Auditor<'_>, text: &str) {
        self.write(text);
        auditor.wait_for_note("a new policy is in force");
    }
}

#[test]
fn a_policy_that_is_read_again_goes_on_dropping() {
    scenario("enforce reload", NOTHING, |bench| {
        let file = File::new(CONTROL_PLANE);
        let outside = Outside::of(bench);
        let mut auditor = file.audit(bench);
        let mut sender = bench.sender(&format!("{ESCAPE} --until-line --wait-stdin"));
        sender.wait_for("ready").go();
        auditor.wait_for_finding("policy-escape");
        for _ in 0..20 {
            auditor.signal(Signal::SIGHUP);
            auditor.wait_for_note("a new policy is in force");
        }
        let escaped = sender.go_and_finish();
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("policy-escape").rule("control-plane").egress("eth1");
        report
            .expect()
            .finding(escape.dropped().packets(attempts(&escaped)).by(&escaped))
            .nothing_else();
    });
}

#[test]
fn what_left_and_what_was_dropped_are_two_findings() {
    scenario("enforce reload-action", NOTHING, |bench| {
        let file = File::new(&control_plane("control", "action = \"alert\""));
        let outside = Outside::of(bench);
        let mut auditor = file.audit(bench);
        let mut sender = bench.sender(&format!("{ESCAPE} --count 1000 --pause-after 400"));
        sender.wait_for("paused");
        file.becomes(&mut auditor, &control_plane("control", ""));
        let escaped = sender.go_and_finish();
        let report = auditor.stop();
        assert_eq!(outside.got(), 400, "{report}");
        let escape = || {
            leak("policy-escape")
                .rule("control")
                .egress("eth1")
                .by(&escaped)
        };
        report
            .expect()
            .finding(escape().packets(400))
            .finding(escape().packets(600).dropped())
            .total(400)
            .nothing_else();
    });
}
