//! Packets of others whose source NAT makes an address of this host: none of them is the copy of a socket's packet that happens to have
//! the same port, and none a mirror's. Case 27 of docs/developers/scenarios.md.

use crate::bench::{Bench, Need, risk, scenario, together};

together! {
    translated:
        a_masqueraded_packet_with_the_port_of_a_pinned_socket_is_forwarded,
        a_masqueraded_packet_with_the_port_of_a_pinned_socket_without_address_is_forwarded,
        a_masqueraded_packet_with_the_end_of_a_socket_pinned_elsewhere_is_forwarded,
        a_packet_that_is_given_the_address_of_another_interface_is_reported_as_translated;
}

const NFT: &[Need] = &[Need::Program("nft")];

fn masquerade(bench: &Bench) {
    translate(bench, "masquerade");
}

fn translate(bench: &Bench, how: &str) {
    bench.let_forward();
    bench.run("nft", "add table ip lab");
    bench.run(
        "nft",
        "add chain ip lab out { type nat hook postrouting priority 100 ; }",
    );
    bench.run("nft", &format!("add rule ip lab out oifname eth1 {how}"));
}

/// A socket of the card has the port that a datagram keeps which the peer sends to the world.
fn forwarded(name: &str, socket: &str) {
    scenario(name, NFT, |bench| {
        masquerade(bench);
        let auditor = bench.audit(&["--enforce"]);
        let mut holder = bench.sender(&format!(
            "udp {socket} --to 10.0.0.2:9 --count 2 --pause-after 1"
        ));
        holder.wait_for("paused");
        bench
            .far_sender(
                &bench.chassis.peer,
                "udp --bind 10.0.0.2:123 --to 203.0.113.9:9 --count 1000",
            )
            .finish();
        bench.wait_until_sent("eth1", 1000);
        holder.go_and_finish();
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        assert_eq!(report.sent_by("eth1").packets, 1000, "{report}");
        assert_eq!(report.summary.dropped, 0, "{report}");
    });
}

fn a_masqueraded_packet_with_the_port_of_a_pinned_socket_is_forwarded() {
    forwarded("27 masquerade", "--bind 10.0.0.1:123 --bind-device fab0");
}

/// Which address it sends from is known with its first packet.
fn a_masqueraded_packet_with_the_port_of_a_pinned_socket_without_address_is_forwarded() {
    forwarded("27 masquerade-any", "--bind 0.0.0.0:123 --bind-device fab0");
}

/// The pinned socket has the very end that the translation gives.
fn a_masqueraded_packet_with_the_end_of_a_socket_pinned_elsewhere_is_forwarded() {
    forwarded(
        "27 masquerade-same",
        "--bind 192.0.2.1:123 --bind-device lo",
    );
}

/// The remedy is carried out: the rule is another one, and the finding does not come again.
fn a_packet_that_is_given_the_address_of_another_interface_is_reported_as_translated() {
    scenario("27 snat", NFT, |bench| {
        translate(bench, "snat to 10.0.0.1");
        let auditor = bench.audit(&[]);
        let send = |count| {
            bench
                .far_sender(
                    &bench.chassis.peer,
                    &format!("udp --to 203.0.113.9:9 --count {count}"),
                )
                .finish();
        };
        send(100);
        bench.wait_until_sent("eth1", 100);
        bench.run("nft", "flush chain ip lab out");
        bench.run("nft", "add rule ip lab out oifname eth1 masquerade");
        send(10);
        bench.wait_until_sent("eth1", 110);
        let found = risk("address-escape")
            .egress("eth1")
            .packets(100)
            .cause("forwarded from fab0, its source 10.0.0.2 translated (NAT); route 0.0.0.0/0 via 192.0.2.2 dev eth1")
            .remedy("translate the source 10.0.0.2 to an address of eth1 where it leaves by that");
        auditor
            .stop()
            .expect()
            .finding(found)
            .contained_unpinned("eth1", 10)
            .nothing_else();
    });
}
