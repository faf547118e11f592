//! Remedies of `ingress-escape`. pinif looks before netfilter does: what a rule drops afterwards is still found, and no socket receives it.

use std::net::UdpSocket;
use std::time::Duration;

use crate::bench::carry::{COUNT, PORT};
use crate::bench::{Bench, CONTROL_PLANE, Need, scenario};
use pinif_lab::Namespace;

const NFT: &[Need] = &[Need::Program("nft")];

/// So many datagrams come to the card's socket, and no more.
fn received(socket: &UdpSocket, number: u64) {
    socket.set_nonblocking(false).expect("a socket");
    for _ in 0..number {
        socket.recv(&mut [0; 64]).expect("a datagram");
    }
    socket.set_nonblocking(true).expect("a socket");
    assert!(socket.recv(&mut [0; 64]).is_err(), "more than {number}");
}

fn send(bench: &Bench, from: &Namespace, sends: &str) {
    let before = bench.received();
    bench
        .far_sender(from, &format!("udp {sends} --count {COUNT}"))
        .finish();
    bench.wait_until_received(before, COUNT);
}

fn receiver(bench: &Bench, address: &str) -> UdpSocket {
    let bind = || UdpSocket::bind((address, PORT));
    let socket = bench.card().run(bind).expect("the card");
    let socket = socket.expect("the port is free");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time");
    socket
}

/// The finding of what the outside sends to a socket of the card: its remedy begins so, and is carried out. Then it does not arrive any more.
fn kept_out(bench: &Bench, socket: &UdpSocket, sends: &str, text: &str) {
    let outside = &bench.chassis.outside;
    let auditor = bench.audit_with(CONTROL_PLANE, &[]);
    send(bench, outside, sends);
    received(socket, COUNT);
    let report = auditor.stop();
    let [finding] = &report.findings[..] else {
        panic!("one finding\n{report}");
    };
    assert_eq!(
        (finding.kind.name(), finding.packets),
        ("ingress-escape", COUNT)
    );
    assert!(
        finding
            .explanation
            .ends_with("receives it, unless netfilter or XFRM drops it first."),
        "{report}"
    );
    let step = finding.remedies.first().expect("a remedy");
    assert!(step.text.starts_with(text), "{step:#?}");
    assert!(!step.commands.is_empty(), "{step:#?}");
    for line in &step.commands {
        bench.shell(line);
    }
    send(bench, outside, sends);
    received(socket, 0);
}

/// The outside sends to the backplane's address; the neighbours on the backplane still may.
#[test]
fn what_is_for_another_interfaces_address_is_kept_out() {
    scenario("30 arrival", NFT, |bench| {
        let socket = receiver(bench, "10.0.0.1");
        let sends = format!("--to 10.0.0.1:{PORT}");
        kept_out(
            bench,
            &socket,
            &sends,
            "drop on eth1 what is for addresses that eth1 does not have",
        );
        send(bench, &bench.chassis.peer, &sends);
        received(&socket, COUNT);
    });
}

/// The outside sends from the backplane's addresses. What it sends so to another address is as before, and so is what comes from its own.
#[test]
fn what_is_from_another_interfaces_network_is_kept_out() {
    scenario("30 arrival-source", NFT, |bench| {
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        let second = "192.0.2.77/24".parse().expect("an address");
        card.add_address("eth1", second).expect("eth1");
        let mac = card.mac("eth1").expect("eth1");
        outside
            .add_neighbour("eth0", second.addr(), &mac)
            .expect("eth0");
        for interface in ["all", "eth1"] {
            let setting = format!("ipv4/conf/{interface}/rp_filter");
            card.set_sysctl(&setting, "0").expect("it is there");
        }
        let (socket, other) = (receiver(bench, "192.0.2.1"), receiver(bench, "192.0.2.77"));
        let forged = format!("--bind 10.0.0.2 --to 192.0.2.1:{PORT}");
        kept_out(
            bench,
            &socket,
            &forged,
            "drop on eth1 what comes for 192.0.2.1 from 10.0.0.2 and from others that are not routed via eth1, also where that is so on \
             purpose",
        );
        send(
            bench,
            outside,
            &format!("--bind 10.0.0.2 --to 192.0.2.77:{PORT}"),
        );
        received(&other, COUNT);
        send(bench, outside, &format!("--to 192.0.2.1:{PORT}"));
        received(&socket, COUNT);
    });
}
