//! Interfaces that rest on others: what is bound to the upper one leaves by the lower. Case 2 of docs/developers/scenarios.md, and the leaks
//! past such an interface.

mod bonds;
mod links;
mod towers;
mod vlans;
mod zones;

use crate::bench::Bench;
use pinif_lab::Device;

/// The card's address on the device of a scenario is `10.0.7.1`, and this is its neighbour.
const TO: &str = "10.0.7.2:9";

/// Plugs two further links of the card into the peer, which takes all and answers nothing: they have no addresses there.
fn plug(bench: &Bench) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    for (link, mac) in [("fab1", 0x31), ("fab2", 0x41)] {
        card.veth(link, peer, link, mac).expect("a pair");
        peer.set_up(link).expect("the peer's end");
        bench.count_on(link);
    }
}

/// Sets them up, where nothing else does.
fn up(bench: &Bench) {
    for link in ["fab1", "fab2"] {
        bench.card().set_up(link).expect("the card's end");
        bench.card().wait_until_operational(link).expect("it is up");
    }
}

/// Sets a device of the card up, and gives it addresses and neighbours.
fn settle_in(bench: &Bench, device: &str) {
    let card = bench.card();
    card.set_up(device).expect("the device");
    if !device.starts_with("ipv") {
        // An ipvlan's state stays unknown, and it sends.
        card.wait_until_operational(device).expect("it is up");
    }
    for address in ["10.0.7.1/24", "fd07::1/64"] {
        card.add_address(device, address.parse().expect("an address"))
            .expect("an address");
    }
    for neighbour in ["10.0.7.2", "fd07::2"] {
        let neighbour = neighbour.parse().expect("an address");
        card.add_neighbour(device, neighbour, &[0x02, 0, 0, 0, 0, 0x77])
            .expect("a neighbour");
    }
}

fn add(bench: &Bench, device: Device<'_>) {
    bench.card().add_device(device).expect("a device");
}

fn enslave(bench: &Bench, ports: &[&str], controller: &str) {
    for port in ports {
        bench.card().enslave(port, controller).expect("a port");
    }
}

/// 1000 datagrams of a socket that is bound to `device` pass each of `path`, and count once.
fn carried(bench: &Bench, device: &str, to: &str, path: &[(&str, u64)]) {
    let auditor = bench.audit(&[]);
    let sent = bench.send(&format!(
        "udp --bind-device {device} --to {to} --count 1000"
    ));
    assert_eq!(sent.sent, 1000, "{sent:?}");
    let report = auditor.stop();
    let expected = report.expect().total(1000);
    path.iter()
        .fold(expected, |expected, (link, packets)| {
            expected.contained(device, link, *packets)
        })
        .nothing_else();
}
