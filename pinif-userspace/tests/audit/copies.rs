//! Packets that something takes, or copies, to another interface after their socket sent them. Case 11 of docs/developers/scenarios.md.

use crate::bench::{Bench, Need, Report, leak, note, scenario, together};

together! {
    copies:
        nft_fwd_takes_the_packet_with_its_socket,
        tc_mirred_redirect_moves_the_packet,
        tc_mirred_mirror_copies_the_packet,
        nft_dup_on_egress_copies_the_packet,
        nft_dup_to_a_gateway_copies_the_packet,
        a_copy_of_a_rebound_socket_is_recognized_by_its_new_device;
}

const NFT: &[Need] = &[Need::Program("nft")];
const NFT_EGRESS: &[Need] = &[Need::NetdevEgress];
const TC: &[Need] = &[Need::Program("tc")];
const SEND: &str = "udp --bind-device fab0 --to 10.0.0.2:9 --count 1000";

/// An nft rule of the egress hook of fab0.
fn on_egress(bench: &Bench, statement: &str) {
    bench.run("nft", "add table netdev lab");
    bench.run(
        "nft",
        "add chain netdev lab out { type filter hook egress device fab0 priority 0 ; }",
    );
    bench.run(
        "nft",
        &format!("add rule netdev lab out udp dport 9 {statement}"),
    );
}

/// A tc action on all IPv4 that leaves by fab0.
fn mirred(bench: &Bench, action: &str) {
    bench.run("tc", "qdisc add dev fab0 clsact");
    let filter = "filter add dev fab0 egress protocol ip u32 match u32 0 0 action mirred egress";
    bench.run("tc", &format!("{filter} {action} dev eth1"));
}

fn nft_fwd_takes_the_packet_with_its_socket() {
    scenario("11 nft-fwd", NFT_EGRESS, |bench| {
        on_egress(bench, "fwd to eth1");
        let auditor = bench.audit(&[]);
        let sent = bench.send(SEND);
        let escape = leak("device-escape")
            .bound("fab0")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

/// The original is seen on fab0, and a packet without socket on eth1.
fn copied(bench: &Bench) -> Report {
    let auditor = bench.audit(&[]);
    let sent = bench.send(SEND);
    let report = auditor.stop();
    let copy = leak("copy-escape")
        .bound("fab0")
        .egress("eth1")
        .packets(1000)
        .by(&sent)
        .protocol("udp")
        .destination("10.0.0.2:9")
        .cause("mirror");
    // A redirected packet passed TC egress of fab0, but never reached its driver.
    report
        .expect()
        .contained("fab0", "fab0", 1000)
        .finding(copy)
        .driver_counts_apart("fab0")
        .nothing_else();
    report
}

fn tc_mirred_redirect_moves_the_packet() {
    scenario("11 tc-redirect", TC, |bench| {
        mirred(bench, "redirect");
        let report = copied(bench);
        assert_eq!(
            report.sent_by("fab0").packets,
            0,
            "nothing left by fab0\n{report}"
        );
    });
}

fn tc_mirred_mirror_copies_the_packet() {
    scenario("11 tc-mirror", TC, |bench| {
        mirred(bench, "mirror");
        let report = copied(bench);
        assert_eq!(report.sent_by("fab0").packets, 1000, "{report}");
    });
}

fn nft_dup_on_egress_copies_the_packet() {
    scenario("11 nft-dup", NFT_EGRESS, |bench| {
        on_egress(bench, "dup to eth1");
        let report = copied(bench);
        assert_eq!(report.sent_by("fab0").packets, 1000, "{report}");
    });
}

fn nft_dup_to_a_gateway_copies_the_packet() {
    scenario("11 nft-dup-gateway", NFT, |bench| {
        bench.run("nft", "add table ip lab");
        bench.run(
            "nft",
            "add chain ip lab out { type filter hook postrouting priority 0 ; }",
        );
        bench.run(
            "nft",
            "add rule ip lab out udp dport 9 dup to 192.0.2.2 device eth1",
        );
        let report = copied(bench);
        assert_eq!(report.sent_by("fab0").packets, 1000, "{report}");
    });
}

fn a_copy_of_a_rebound_socket_is_recognized_by_its_new_device() {
    scenario("11 tc-mirror-rebound", TC, |bench| {
        bench.run("tc", "qdisc add dev eth1 clsact");
        let filter =
            "filter add dev eth1 egress protocol ip u32 match u32 0 0 action mirred egress mirror";
        bench.run("tc", &format!("{filter} dev fab0"));
        let auditor = bench.audit(&[]);
        let sent = bench.send(
            "udp --bind 10.0.0.1:4000 --bind-device fab0 --rebind eth1 --rebind-after 400 \
             --to 10.0.0.2:9 --count 1000",
        );
        let copy = leak("copy-escape")
            .bound("eth1")
            .egress("fab0")
            .packets(600)
            .by(&sent);
        let crossed = note("crossed-bind")
            .bound("eth1")
            .egress("eth1")
            .packets(600)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .contained("fab0", "fab0", 400)
            .finding(copy)
            .finding(crossed)
            .nothing_else();
    });
}
