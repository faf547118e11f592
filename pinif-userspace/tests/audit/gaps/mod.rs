//! What cannot be seen, on the real kernel: packets leave, by the link's own counters, and pinif says that it did not see
//! them. docs/limitations.md, "Packets that never pass TC egress".

pub mod foreign;
mod netconsole;

use self::foreign::{CgroupHook, Foreign};
use crate::bench::{Bench, Finding, Need, leak, made, risk, scenario};

const NOTHING: &[Need] = &[];
const FRAMES: &str = "--device eth1 --from 10.0.0.1:4000 --to 203.0.113.9:9 --count 1000";

fn unaudited(cause: &'static str) -> Finding {
    risk("unaudited").egress("eth1").cause(cause)
}

fn bypass() -> Finding {
    unaudited("packet socket with PACKET_QDISC_BYPASS")
}

#[test]
fn a_packet_socket_that_bypasses_is_reported_while_it_sends() {
    scenario("gap qdisc-bypass", NOTHING, |bench| {
        let mut auditor = bench.audit(&["--fail-on", "risk"]);
        let mut sender = bench.sender(&format!("packet --bypass --stay {FRAMES}"));
        sender.wait_for("sent");
        auditor.wait_for_finding("unaudited");
        let sent = sender.go_and_finish();
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 1000, "they did leave");
        report
            .expect()
            .finding(bypass().by(&sent).remedy("without PACKET_QDISC_BYPASS"))
            .driver_counts_apart("eth1")
            .exit(2)
            .nothing_else();
    });
}

#[test]
fn a_packet_socket_that_bypasses_and_is_gone_at_once_is_reported() {
    scenario("gap qdisc-bypass-gone", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("packet --bypass {FRAMES}"));
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 1000, "they did leave");
        report
            .expect()
            // Whoever is gone cannot be asked for its cookie.
            .finding(bypass().by_program("pinif-sender", sent.pid))
            .driver_counts_apart("eth1")
            .exit(0)
            .nothing_else();
    });
}

/// A program that bypasses by twenty sockets has one fault.
#[test]
fn many_sockets_of_a_program_are_one_finding_that_grows() {
    scenario("gap qdisc-bypass-many", NOTHING, |bench| {
        let mut auditor = bench.audit(&[]);
        let start = || {
            let mut sender = bench.sender(&format!("packet --bypass --stay {FRAMES}"));
            sender.wait_for("sent");
            sender
        };
        let first = start();
        auditor.wait_for_finding("unaudited");
        let others: Vec<_> = (0..19).map(|_| start()).collect();
        let grown = auditor
            .wait_for_finding_that("a finding of many", |finding| finding.samples.sockets.more);
        assert_eq!(
            (grown.samples.sockets.count, grown.samples.processes.count),
            (16, 16)
        );
        let first = first.go_and_finish();
        assert_eq!(grown.socket_cookie, Some(first.cookie));
        for other in others {
            other.go_and_finish();
        }
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 1, "{report}");
        assert_eq!(report.findings[0].id, grown.id);
    });
}

#[test]
fn a_packet_socket_that_bypassed_before_is_found() {
    scenario("gap qdisc-bypass-before", NOTHING, |bench| {
        let mut sender = bench.sender(&format!("--wait-stdin packet --bypass {FRAMES}"));
        sender.wait_for("ready");
        let mut auditor = bench.audit(&[]);
        auditor.wait_for_finding("unaudited");
        let sent = sender.go_and_finish();
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 1000, "they did leave");
        report
            .expect()
            .finding(bypass().by(&sent))
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}

#[test]
fn a_packet_socket_out_of_the_audited_cgroup_is_found_at_the_end() {
    scenario("gap qdisc-bypass-elsewhere", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let mut sender =
            bench.far_sender(bench.card(), &format!("packet --bypass --stay {FRAMES}"));
        sender.wait_for("sent");
        let report = auditor.stop();
        let sent = sender.go_and_finish();
        report
            .expect()
            .finding(bypass().by(&sent))
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}

#[test]
fn a_packet_socket_that_does_not_bypass_is_seen() {
    scenario("gap qdisc-bypass-not", NOTHING, |bench| {
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("packet {FRAMES}"));
        let escape = risk("address-escape").egress("eth1").packets(1000);
        auditor
            .stop()
            .expect()
            .finding(escape.by(&sent))
            .nothing_else();
    });
}

#[test]
fn nftables_sees_what_bypasses() {
    let needs = [Need::NetdevEgress];
    scenario("gap qdisc-bypass-nft", &needs, |bench| {
        bench.run("nft", "add table netdev t");
        bench.run(
            "nft",
            "add chain netdev t c { type filter hook egress device eth1 priority 0 ; }",
        );
        bench.run("nft", "add rule netdev t c counter");
        bench.send(&format!("packet --bypass {FRAMES}"));
        let rules = bench.ask("nft", "list table netdev t");
        assert!(rules.contains("packets 1000"), "{rules}");
    });
}

#[test]
fn an_af_xdp_socket_is_reported_with_its_interface() {
    scenario("gap af-xdp", &[Need::AfXdp], |bench| {
        let mut auditor = bench.audit(&[]);
        let mut sender = bench.sender(&format!("xdp --stay {FRAMES}"));
        sender.wait_for("sent");
        auditor.wait_for_finding("unaudited");
        let sent = sender.go_and_finish();
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 1000, "they did leave");
        report
            .expect()
            .finding(unaudited("AF_XDP socket").by(&sent))
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}

#[test]
fn an_af_xdp_socket_from_before_is_found() {
    scenario("gap af-xdp-before", &[Need::AfXdp], |bench| {
        let mut sender = bench.sender(&format!("--wait-stdin xdp {FRAMES}"));
        sender.wait_for("ready");
        let mut auditor = bench.audit(&[]);
        auditor.wait_for_finding("unaudited");
        let sent = sender.go_and_finish();
        auditor
            .stop()
            .expect()
            .finding(unaudited("AF_XDP socket").by(&sent))
            .driver_counts_apart("eth1")
            .nothing_else();
    });
}

#[test]
fn an_interface_that_cannot_be_attached_is_reported() {
    let needs = [Need::Program("tc")];
    scenario("gap not-attached", &needs, |bench| {
        // The older qdisc of this hook has an ingress alone, and nothing else can stand in its place.
        bench.run("tc", "qdisc add dev eth1 ingress");
        let auditor = bench.audit(&["--attach", "clsact", "--fail-on", "risk"]);
        bench.send("udp --bind-device eth1 --to 203.0.113.9:9 --count 1000");
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 1000, "they did leave");
        assert_eq!(made(&report.ready), ["lo", "fab0"]);
        report
            .expect()
            .finding(
                unaudited("eth1 could not be attached").cause("its qdisc `ingress` has no egress"),
            )
            .driver_counts_apart("eth1")
            .exit(2)
            .nothing_else();
        // The remedy: what the error names is removed.
        bench.run("tc", "qdisc del dev eth1 ingress");
        let auditor = bench.audit(&["--attach", "clsact", "--fail-on", "risk"]);
        bench.send("udp --bind-device eth1 --to 203.0.113.9:9 --count 10");
        let report = auditor.stop();
        report.expect().contained("eth1", "eth1", 10).nothing_else();
    });
}

/// What is judged at the packet is worth having without it.
#[test]
fn a_hook_that_is_refused_is_reported_and_the_rest_is_audited() {
    scenario("gap missing-hook", NOTHING, |bench| {
        foreign::alone_on(bench.cgroup_path(), CgroupHook::SocketCreate);
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 1000");
        let missing = risk("unaudited")
            .egress("*")
            .cause("the kernel refused pinif_create on the cgroup (Operation not permitted");
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        auditor
            .stop()
            .expect()
            .finding(missing)
            .finding(escape.packets(1000).by(&sent))
            .nothing_else();
    });
}

/// No hook sees it: the packet sockets are looked over.
#[test]
fn a_packet_socket_that_bypasses_by_a_32_bit_call_is_reported_while_it_sends() {
    scenario(
        "gap qdisc-bypass-compat",
        &[Need::Architecture("x86_64")],
        |bench| {
            let mut auditor = bench.audit(&[]);
            let mut sender = bench.sender(&format!("packet --bypass --compat --stay {FRAMES}"));
            sender.wait_for("sent");
            auditor.wait_for_finding("unaudited");
            let sent = sender.go_and_finish();
            auditor
                .stop()
                .expect()
                .finding(bypass().by(&sent))
                .driver_counts_apart("eth1")
                .nothing_else();
        },
    );
}

#[test]
fn a_program_that_was_put_before_pinif_is_reported() {
    scenario("gap tcx-ahead", &[Need::Tcx], |bench| {
        let mut auditor = bench.audit(&[]);
        let escaped =
            bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10");
        let foreign = Foreign::before_all(bench, "eth1", "somebodys");
        auditor.wait_for_finding("unaudited");
        // From here on, nothing of eth1 comes to pinif.
        bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 1000");
        let report = auditor.stop();
        assert_eq!(report.sent_by("eth1").packets, 1010, "they did leave");
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.clone().packets(10).by(&escaped))
            .finding(unaudited("TCX program somebodys (id "))
            .driver_counts_apart("eth1")
            .nothing_else();
        // The remedy: pinif is started after it, and comes before it then.
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 10");
        let escape = escape.packets(10).by(&sent);
        auditor.stop().expect().finding(escape).nothing_else();
        drop(foreign);
    });
}

#[test]
fn an_xdp_program_that_can_redirect_is_reported() {
    scenario("gap xdp-redirect", NOTHING, |bench| {
        let foreign = Foreign::xdp(bench, "eth1", "balancer", true);
        let mut auditor = bench.audit(&[]);
        auditor.wait_for_finding("unaudited");
        let report = auditor.stop();
        drop(foreign);
        report
            .expect()
            .finding(unaudited("XDP program balancer (id "))
            .nothing_else();
    });
}

#[test]
fn an_xdp_program_that_filters_is_a_note() {
    scenario("gap xdp-filter", NOTHING, |bench| {
        let foreign = Foreign::xdp(bench, "eth1", "firewall", false);
        let report = bench.audit(&[]).stop();
        drop(foreign);
        assert!(
            report
                .stderr
                .starts_with("eth1 has the XDP program firewall (id "),
            "{report}"
        );
        report.expect().nothing_else();
    });
}

#[test]
fn the_doctor_lists_each() {
    scenario("gap doctor", &[Need::AfXdp], |bench| {
        let doctor = || bench.ask(env!("CARGO_BIN_EXE_pinif"), "doctor --format json");
        let lines = doctor();
        for name in ["packet sockets", "AF_XDP", "XDP programs", "pktgen"] {
            let good = format!(r#""name":"{name}","outcome":"ok""#);
            assert!(lines.contains(&good), "{lines}");
        }
        let mut packets = bench.sender(&format!("packet --bypass --stay {FRAMES}"));
        let mut frames = bench.sender(&format!("xdp --stay {FRAMES}"));
        packets.wait_for("sent");
        frames.wait_for("sent");
        let foreign = Foreign::xdp(bench, "fab0", "balancer", true);
        let lines = doctor();
        let (packets, frames) = (packets.go_and_finish(), frames.go_and_finish());
        drop(foreign);
        for line in [
            format!(
                "pinif-sender (pid {}) sends by eth1 past TC egress",
                packets.pid
            ),
            format!(
                "pinif-sender (pid {}) sends by eth1 past TC egress",
                frames.pid
            ),
            "on fab0 may redirect packets to other interfaces".to_owned(),
        ] {
            assert!(lines.contains(&line), "{line}: {lines}");
        }
    });
}

#[test]
fn other_auditors_are_no_gap() {
    scenario("gap tcx-two-auditors", &[Need::Tcx], |bench| {
        let first = bench.audit(&[]);
        let second = bench.audit(&[]);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 10");
        for auditor in [second, first] {
            auditor
                .stop()
                .expect()
                .contained("fab0", "fab0", 10)
                .nothing_else();
        }
    });
}

#[test]
fn pktgen_is_reported() {
    scenario("gap pktgen", &[Need::Pktgen], |bench| {
        pktgen(bench, "kpktgend_0", "add_device eth1");
        for line in ["count 1000", "pkt_size 100", "dst 203.0.113.9"] {
            pktgen(bench, "eth1", line);
        }
        let auditor = bench.audit(&[]);
        pktgen(bench, "pgctrl", "start");
        let report = auditor.stop();
        pktgen(bench, "kpktgend_0", "rem_device_all");
        assert_eq!(report.sent_by("eth1").packets, 1000, "they did leave");
        report
            .expect()
            .finding(unaudited("pktgen"))
            .driver_counts_apart("eth1")
            .nothing_else();
        // The remedy: it sends by nothing any more.
        bench.audit(&[]).stop().expect().nothing_else();
    });
}

/// Writes a command to pktgen in the card's namespace something.
fn pktgen(bench: &Bench, file: &str, line: &str) {
    let written = bench.card().run(|| {
        std::fs::write(
            format!("/proc/thread-self/net/pktgen/{file}"),
            format!("{line}\n"),
        )
    });
    written.expect("the card").expect("pktgen takes it");
}
