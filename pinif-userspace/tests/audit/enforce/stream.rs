//! TCP: what a program sees of what is dropped is a network that loses all.

use std::io::Write as _;

use tempfile::NamedTempFile;

use super::{ENFORCE, Outside};
use crate::bench::{Auditor, CONTROL_PLANE, Need, leak, scenario};

const NOTHING: &[Need] = &[];

#[test]
fn a_connection_is_not_made() {
    scenario("enforce tcp-connect", NOTHING, |bench| {
        bench
            .card()
            .set_sysctl("ipv4/tcp_syn_retries", "1")
            .expect("TCP is there");
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let sent = bench.send("tcp --to 10.9.0.9:7000");
        assert_eq!((sent.sent, sent.refused["ETIMEDOUT"]), (0, 1));
        let report = auditor.stop();
        outside.got_nothing();
        // The first SYN, and as many as this kernel sends after it (`tcp_syn_linear_timeouts`, since Linux 6.5).
        let attempts = report.summary.dropped;
        assert!(attempts >= 2, "{report}");
        let escape = leak("policy-escape").rule("control-plane").egress("eth1");
        report
            .expect()
            .finding(escape.dropped().packets(attempts).by(&sent).protocol("tcp"))
            .nothing_else();
    });
}

/// A policy file that a new one is written into.
fn becomes(auditor: &mut Auditor<'_>, file: &mut NamedTempFile, text: &str) {
    std::fs::write(file.path(), text).expect("it is ours");
    auditor.wait_for_note("a new policy is in force");
}

/// Its segments are dropped, as the large ones that they are at TC egress; and when they may leave, all arrives.
#[test]
fn a_connection_that_was_held_goes_on() {
    const BYTES: u64 = 4_000_000;
    scenario("enforce tcp-held", NOTHING, |bench| {
        bench
            .card()
            .segment_in_software("eth1")
            .expect("eth1 has offloads");
        let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
        file.flush().expect("an empty policy");
        let path = file.path().to_str().expect("UTF-8").to_owned();
        let mut far = bench.far_sender(
            &bench.chassis.outside,
            &format!("tcp --listen 10.9.0.9:7000 --bytes {BYTES} --close last"),
        );
        far.wait_for("ready").go();
        let mut auditor = bench.audit(&["--enforce", "--policy", &path]);
        let mut sender = bench.sender(&format!(
            "tcp --to 10.9.0.9:7000 --bytes {BYTES} --pause-connected"
        ));
        sender.wait_for("connected");
        becomes(&mut auditor, &mut file, CONTROL_PLANE);
        let outside = Outside::of(bench);
        sender.go();
        auditor.wait_for_finding_that("a segment was dropped", |finding| finding.dropped);
        outside.got_nothing();
        becomes(&mut auditor, &mut file, "");
        let sent = sender.finish();
        assert_eq!(sent.sent, 1);
        far.finish();
        let report = auditor.stop();
        let [held] = &report.findings[..] else {
            panic!("one finding is expected\n{report}");
        };
        assert_eq!(held.packets, report.summary.dropped, "{report}");
        let escape = leak("policy-escape").rule("control-plane").egress("eth1");
        report
            .expect()
            .finding(escape.dropped().packets(held.packets).by(&sent))
            .contained_unpinned("eth1", report.sent_by("eth1").packets)
            .nothing_else();
    });
}
