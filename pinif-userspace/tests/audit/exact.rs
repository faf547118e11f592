//! Counts are exact: what was sent is what was counted, to the packet, whatever happens meanwhile. What each kernel counted
//! is held against the drivers' own counters as well.

use nix::sys::signal::Signal;
use pinif_ebpf::loss::Loss;
use pinif_userspace::lab::Namespace;

use crate::bench::{Bench, Report, leak, scenario};

/// Findings that the programs have room for.
const FINDINGS: u64 = 65_536;

const PINNED: &str = "storm --bind-device fab0 --to 10.0.0.2:9";
const LEAKING: &str = "storm --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

#[test]
fn several_processors_send_on_one_socket() {
    scenario("exact one-socket", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{PINNED} --sharing one --threads 4 --count 50000"));
        assert_eq!(sent.sent, 200_000, "{:?}", sent.refused);
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

#[test]
fn several_processors_leak_on_one_socket() {
    scenario("exact one-leaking-socket", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "{LEAKING} --sharing one --threads 4 --count 50000"
        ));
        assert_eq!(sent.sent, 200_000, "{:?}", sent.refused);
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        let report = auditor.stop();
        let expected = report.expect().finding(escape.packets(sent.sent).by(&sent));
        expected.nothing_else();
    });
}

#[test]
fn sockets_are_closed_while_they_send() {
    scenario("exact closed-while-sending", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{PINNED} --sharing closed --count 20000"));
        assert!(sent.refused.is_empty(), "{:?}", sent.refused);
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

#[test]
fn two_hundred_thousand_sockets_live_for_one_packet() {
    scenario("exact short-lives", &[], |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("{PINNED} --threads 4 --count 50000"));
        assert_eq!(sent.sent, 200_000, "{:?}", sent.refused);
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

/// The findings that were told, and the packets in them.
fn told(report: &Report) -> (u64, u64) {
    let packets = report.findings.iter().map(|told| told.packets).sum();
    (report.findings.len() as u64, packets)
}

#[test]
fn a_collector_that_stands_still_loses_no_count() {
    scenario("exact stopped-collector", &[], |bench| {
        let auditor = bench.audit(&[]);
        auditor.signal(Signal::SIGSTOP);
        // Several times what the ring buffer has room for.
        let sent = bench.send(&format!("{LEAKING} --threads 2 --count 20000 --each 2"));
        assert_eq!(sent.sent, 40_000, "{:?}", sent.refused);
        auditor.signal(Signal::SIGCONT);
        let report = auditor.stop();
        assert_eq!(told(&report), (sent.sent / 2, sent.sent));
        assert_eq!(report.status.code(), Some(2), "{}", report.stderr);
        assert_eq!(report.summary.packets, sent.sent);
    });
}

#[test]
fn more_leaks_than_there_is_room_for_are_counted_as_such() {
    scenario("exact full-table", &[], |bench| {
        // A leak that was seen would be the worse news.
        let auditor = bench.audit(&["--fail-on", "never"]);
        let sent = bench.send(&format!("{LEAKING} --threads 4 --count 17500"));
        assert_eq!(sent.sent, 70_000, "{:?}", sent.refused);
        let report = auditor.stop();
        assert_eq!(told(&report), (FINDINGS, FINDINGS));
        let lost = report.summary.uncounted.get(Loss::FindingsFull.name());
        assert_eq!(lost, Some(&(sent.sent - FINDINGS)));
        assert_eq!(report.status.code(), Some(3), "{}", report.stderr);
        // In the matrix they are all the same.
        assert_eq!(report.summary.packets, sent.sent);
    });
}

#[test]
fn interfaces_come_and_go_while_others_send() {
    scenario("exact interfaces-come-and-go", &[], |bench| {
        let auditor = bench.audit(&[]);
        let mut sender =
            bench.sender("udp --bind-device fab0 --to 10.0.0.2:9 --until-line --wait-stdin");
        sender.wait_for("ready").go();
        come_and_go(bench, 500);
        sender.go();
        let sent = sender.finish();
        let report = auditor.stop();
        let expected = report.expect().contained("fab0", "fab0", sent.sent);
        expected.nothing_else();
    });
}

fn come_and_go(bench: &Bench, times: usize) {
    let far = Namespace::new("far").expect("cannot make a namespace");
    for _ in 0..times {
        let card = bench.card();
        card.veth("tmp0", &far, "tmp1", 77).expect("no link");
        card.delete_link("tmp0").expect("the link stays");
    }
}
