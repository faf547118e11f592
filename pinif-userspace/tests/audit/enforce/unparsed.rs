//! Frames that are not what they seem: what the receiver would read is judged, and what cannot be read is dropped.

use pinif_ebpf::loss::Loss;

use super::{ENFORCE, Outside};
use crate::bench::{CONTROL_PLANE, Need, leak, scenario, together};

together! {
    unparsed:
        a_frame_announced_as_another_protocol_is_judged_by_its_own,
        a_frame_announced_as_ipv6_is_judged_by_its_own,
        a_tagged_frame_announced_as_ipv4_is_judged_by_its_own;
}

const NOTHING: &[Need] = &[];
const FRAME: &str = "packet --from 192.0.2.1:4000 --to 10.0.0.2:9 --count 1000";
/// One header more than is followed.
const LONG: &str =
    "packet --from [2001:db8::1]:4000 --to [fd00::2]:9 --options 9 --count 1000 --device";

fn judged(name: &str, announced: &str) {
    scenario(name, NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let sent = bench.send(&format!("{FRAME} --device eth1 {announced}"));
        assert_eq!((sent.sent, sent.refused["ENOBUFS"]), (0, 1000));
        let report = auditor.stop();
        outside.got_nothing();
        let escape = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(1000)
            .dropped()
            .by(&sent)
            .destination("10.0.0.2:9");
        report.expect().finding(escape).nothing_else();
    });
}

fn a_frame_announced_as_another_protocol_is_judged_by_its_own() {
    // 0x88b5: for experiments.
    judged("enforce announced-other", "--announce 34997");
}

fn a_frame_announced_as_ipv6_is_judged_by_its_own() {
    judged("enforce announced-ipv6", "--announce 34525");
}

fn a_tagged_frame_announced_as_ipv4_is_judged_by_its_own() {
    judged("enforce announced-untagged", "--vlan 5 --announce 2048");
}

// Losses are those of the whole audit: each of these has one of its own.

#[test]
fn what_has_too_many_headers_is_dropped() {
    scenario("enforce unparsed", NOTHING, |bench| {
        let outside = Outside::of(bench);
        let auditor = bench.audit_with(CONTROL_PLANE, ENFORCE);
        let sent = bench.send(&format!("{LONG} eth1"));
        assert_eq!((sent.sent, sent.refused["ENOBUFS"]), (0, 1000));
        let report = auditor.stop();
        outside.got_nothing();
        assert_eq!(report.summary.dropped, 1000, "{report}");
        report
            .expect()
            .unreadable("eth1", 1000)
            .lost(Loss::Unparsed, 1000)
            .exit(3)
            .nothing_else();
    });
}

fn leaves(name: &str, policy: &str, interface: &str) {
    scenario(name, NOTHING, |bench| {
        let auditor = bench.audit_with(policy, ENFORCE);
        let sent = bench.send(&format!("{LONG} {interface}"));
        assert_eq!(sent.sent, 1000, "{sent:?}");
        let report = auditor.stop();
        assert_eq!(report.summary.dropped, 0, "{report}");
        report
            .expect()
            .contained_unpinned(interface, 1000)
            .lost(Loss::Unparsed, 1000)
            .exit(3)
            .nothing_else();
    });
}

#[test]
fn what_has_too_many_headers_leaves_where_the_policy_lets_it() {
    let policy = format!("unparsed = \"pass\"\n{CONTROL_PLANE}");
    leaves("enforce unparsed-pass", &policy, "eth1");
}

#[test]
fn what_has_too_many_headers_leaves_where_nothing_can_be_broken() {
    leaves("enforce unparsed-inside", CONTROL_PLANE, "fab0");
}
