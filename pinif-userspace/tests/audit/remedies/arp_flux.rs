//! Two interfaces of the card in one network: both answer for each other's addresses, until the remedy is carried out.

use std::net::UdpSocket;
use std::process::Command;

use crate::bench::carry::on_card;
use crate::bench::{Bench, Need, Report, note, scenario};
use pinif_lab::{Device, LinkKind};
use pinif_userspace::findings::line::FindingLine;

const BRIDGE: &[Need] = &[Need::Link(LinkKind::Bridge), Need::Program("sysctl")];

/// Gives the card `fab1`, which is in the peer's network as fab0 is: a bridge of the peer has both.
fn share_the_network(bench: &Bench) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    card.veth("fab1", peer, "fab1", 0x21).expect("a pair");
    peer.add_device(Device::new(LinkKind::Bridge, "br0"))
        .expect("a bridge");
    peer.set_sysctl("ipv6/conf/br0/disable_ipv6", "1")
        .expect("IPv6 is there");
    bench.count_on("fab1");
    for link in ["fab0", "fab1"] {
        peer.enslave(link, "br0").expect("a port");
        peer.set_up(link).expect("it is there");
        card.set_sysctl(&format!("ipv6/conf/{link}/disable_ipv6"), "1")
            .expect("IPv6 is there");
        card.set_up(link).expect("it is there");
        card.set_arp(link, true).expect("it is there");
        card.wait_until_operational(link).expect("it is up");
    }
    peer.set_arp("br0", true).expect("it is there");
    peer.set_up("br0").expect("it is there");
    peer.wait_until_operational("br0").expect("it is up");
    for link in ["all", "fab0", "fab1"] {
        card.set_sysctl(&format!("ipv4/conf/{link}/rp_filter"), "0")
            .expect("IPv4 is there");
    }
    let address = |text: &str| text.parse().expect("an address");
    card.add_address("fab1", address("10.0.1.1/24"))
        .expect("fab1");
    peer.delete_address("fab0", address("10.0.0.2/24"))
        .expect("it has it");
    peer.add_address("br0", address("10.0.0.3/24"))
        .expect("br0");
}

/// The peer, which does not know the card's MAC address, sends a datagram to fab0's address under the audit, and how many frames fab1 has
/// sent since then.
fn asked(bench: &Bench) -> (Report, u64) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    // Nothing answers by ICMP, for which the card would ask whether the peer is still there.
    let _receiver = card
        .run(|| UdpSocket::bind("10.0.0.1:9"))
        .expect("the card")
        .expect("the port is free");
    let auditor = bench.audit(&[]);
    let mut forget = Command::new("ip");
    forget.args(["neighbour", "flush", "dev", "br0"]);
    let forgotten = peer.run(|| forget.status()).expect("the peer");
    assert!(forgotten.expect("ip runs").success());
    let sent = || card.sent("fab1").expect("it is there").packets;
    let (before, received) = (sent(), bench.received());
    peer.run(|| UdpSocket::bind("10.0.0.3:0")?.send_to(b"?", "10.0.0.1:9"))
        .expect("the peer")
        .expect("a datagram");
    // Both interfaces have been asked by then: the request is in each one's queue before the datagram that waits for the answer.
    bench.wait_until_received(received, 1);
    let after = sent();
    (auditor.stop(), after - before)
}

#[test]
fn each_of_two_interfaces_answers_for_its_own_addresses() {
    scenario("30 arp-flux", BRIDGE, |bench| {
        share_the_network(bench);
        let (report, answers) = asked(bench);
        assert_eq!(answers, 1, "fab1 answered for fab0's address\n{report}");
        let flux = note("arp-flux").egress("fab0").cause(
            "neighbour 10.0.0.3 is reached via fab0 and via fab1; arp_ignore is 0 on fab0, which answers for 10.0.1.1; \
             arp_ignore is 0 on fab1, which answers for 10.0.0.1",
        );
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        report
            .expect()
            .finding(flux)
            .contained_unpinned("fab0", 1)
            .contained_unpinned("fab1", 1)
            .exit(0)
            .nothing_else();
        let [step] = &finding.remedies[..] else {
            panic!("one remedy\n{report}");
        };
        let lines = step.commands.iter().map(|line| on_card(finding, line));
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                "sysctl -w net/ipv4/conf/fab0/arp_ignore=1 net/ipv4/conf/fab0/arp_announce=2",
                "sysctl -w net/ipv4/conf/fab1/arp_ignore=1 net/ipv4/conf/fab1/arp_announce=2"
            ]
        );
        step.commands.iter().for_each(|line| bench.shell(line));
        let (report, answers) = asked(bench);
        assert_eq!(answers, 0, "{report}");
        report
            .expect()
            .contained_unpinned("fab0", 1)
            .exit(0)
            .nothing_else();
    });
}

/// Of the two interfaces, one is contained.
const CONTAINED: &str = "[zone.backplane]\ninterfaces = [\"fab0\"]\ncontained = true\n";

/// The packets of each finding of what arrived by fab1.
fn arrived(report: &Report) -> Vec<u64> {
    let is_it = |finding: &&FindingLine| finding.kind.name() == "ingress-escape";
    let found = report.findings.iter().filter(is_it);
    found.map(|finding| finding.packets).collect()
}

/// Who was answered by the wrong interface is kept out while the policy is enforced, until only the right one answers.
#[test]
fn a_neighbour_that_the_wrong_interface_answered_comes_in_again() {
    scenario("30 arrival-flux", BRIDGE, |bench| {
        share_the_network(bench);
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        let receiver = card.run(|| UdpSocket::bind("10.0.0.1:9"));
        let _receiver = receiver.expect("the card").expect("the port is free");
        let to = "10.0.0.1".parse().expect("an address");
        let wrong = card.mac("fab1").expect("a MAC address");
        peer.add_neighbour("br0", to, &wrong).expect("a neighbour");
        let send = || {
            peer.run(|| UdpSocket::bind("10.0.0.3:0")?.send_to(b"?", "10.0.0.1:9"))
                .expect("the peer")
                .expect("a datagram")
        };
        let before = bench.received();
        let mut auditor = bench.audit_with(CONTAINED, &["--enforce"]);
        send();
        auditor.wait_for_finding_that("it is dropped", |finding| finding.dropped);
        let report = auditor.stop();
        assert_eq!(bench.received(), before, "{report}");
        let is_it = |finding: &&FindingLine| finding.dropped;
        let finding = report.findings.iter().find(is_it).expect("a finding");
        let step = &finding.remedies[0];
        assert_eq!(
            on_card(finding, &step.text),
            "set net.ipv4.conf.fab1.arp_ignore to 1, so that fab1 does not answer for it (`sysctl -w net/ipv4/conf/fab1/arp_ignore=1`)"
        );
        // The network is as it is: `arp-flux` may be reported besides.
        assert_eq!(arrived(&report), [1], "{report}");
        assert_eq!(report.summary.dropped, 1, "{report}");
        step.commands.iter().for_each(|line| bench.shell(line));
        peer.run(|| {
            Command::new("ip")
                .args(["neighbour", "delete", "10.0.0.1", "dev", "br0"])
                .status()
        })
        .expect("the peer")
        .expect("ip runs");
        let auditor = bench.audit_with(CONTAINED, &["--enforce"]);
        send();
        bench.wait_until_received(before, 1);
        let report = auditor.stop();
        assert_eq!(arrived(&report), [0; 0], "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
        assert!(report.status.success(), "{report}");
    });
}
