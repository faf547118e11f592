//! What arrives. Case 20 of docs/developers/scenarios.md: a packet for a contained address that comes from the outside.

mod contained;
mod reached;
mod rules;
mod watched;

use aya::programs::{SchedClassifier, TcAttachType};
use pinif_lab::Namespace;

use crate::bench::{Bench, Finding, Need, Sender, Sent, leak};

const NOTHING: &[Need] = &[];

/// Traffic of the backplane on the front port.
fn escape() -> Finding {
    leak("ingress-escape").egress("eth1")
}

/// A socket of the card that takes what comes, and sends nothing.
fn receiver(bench: &Bench, intent: &str) -> Sender {
    let to = if intent.contains('[') {
        "[fd00::2]:9"
    } else {
        "10.0.0.2:9"
    };
    let mut receiver = bench.sender(&format!("--wait-stdin udp {intent} --to {to} --count 0"));
    receiver.wait_for("ready");
    receiver
}

fn end(mut receiver: Sender) -> Sent {
    receiver.go();
    receiver.finish()
}

/// Sends to the card from elsewhere, and waits until it has got all of it.
fn send(bench: &Bench, from: &Namespace, arguments: &str, packets: u64) -> Sent {
    let before = bench.received();
    let sent = bench.far_sender(from, arguments).finish();
    bench.wait_until_received(before, packets);
    sent
}

fn port(sent: &Sent) -> &str {
    let local = sent.local.as_deref().expect("an address");
    local.rsplit(':').next().expect("a port")
}

/// How many programs see what arrives at each of the card's links.
fn watched(bench: &Bench) -> [usize; 3] {
    ["lo", "fab0", "eth1"].map(|link| {
        let programs = bench
            .card()
            .run(|| SchedClassifier::query_tcx(link, TcAttachType::Ingress));
        programs.expect("the card").expect("a link").1.len()
    })
}

/// One more wire between the card and another namespace, with the same name at both ends.
fn plug(card: &Namespace, link: &str, far: &Namespace, here: &str, there: &str) {
    card.veth(link, far, link, 0x21).expect("a wire");
    for (namespace, address) in [(card, here), (far, there)] {
        namespace.set_up(link).expect("a link");
        let address = address.parse().expect("an address");
        namespace.add_address(link, address).expect("a link");
    }
    for (namespace, other, address) in [(card, far, there), (far, card, here)] {
        let address: ipnet::IpNet = address.parse().expect("an address");
        let mac = other.mac(link).expect("a link");
        namespace
            .add_neighbour(link, address.addr(), &mac)
            .expect("a link");
    }
    for namespace in [card, far] {
        namespace.wait_until_operational(link).expect("a link");
    }
}
