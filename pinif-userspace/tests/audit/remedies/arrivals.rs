//! Remedies of `ingress-escape`. pinif looks before netfilter does: what a rule drops afterwards is still found, and no socket receives it.

use std::net::UdpSocket;
use std::time::Duration;

use crate::bench::carry::{COUNT, PORT};
use crate::bench::{Bench, CONTROL_PLANE, Need, scenario};
use pinif_lab::Namespace;

/// So many datagrams come to the card's socket, and no more.
fn received(socket: &UdpSocket, number: u64) {
    socket.set_nonblocking(false).expect("a socket");
    for _ in 0..number {
        socket.recv(&mut [0; 64]).expect("a datagram");
    }
    socket.set_nonblocking(true).expect("a socket");
    assert!(socket.recv(&mut [0; 64]).is_err(), "more than {number}");
}

fn send(bench: &Bench, from: &Namespace, to: &str) {
    let before = bench.received();
    bench
        .far_sender(from, &format!("udp --to {to}:{PORT} --count {COUNT}"))
        .finish();
    bench.wait_until_received(before, COUNT);
}

/// The outside sends to the backplane's address; the neighbours on the backplane still may, once the remedy is carried out.
fn kept_out(name: &str, address: &str, prepare: fn(&Bench), text: &str) {
    scenario(name, &[Need::Program("nft")], |bench| {
        prepare(bench);
        let bind = || UdpSocket::bind((address, PORT));
        let socket = bench.card().run(bind).expect("the card");
        let socket = socket.expect("the port is free");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time");
        let chassis = &bench.chassis;
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        send(bench, &chassis.outside, address);
        received(&socket, COUNT);
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
        send(bench, &chassis.outside, address);
        received(&socket, 0);
        send(bench, &chassis.peer, address);
        received(&socket, COUNT);
    });
}

#[test]
fn what_is_for_another_interfaces_address_is_kept_out() {
    kept_out(
        "30 arrival",
        "10.0.0.1",
        |_| (),
        "drop on eth1 what is for addresses that eth1 does not have",
    );
}
