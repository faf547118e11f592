//! Containers: sockets of another namespace whose packets the card switches or routes, and whose interfaces have the same
//! indexes as the card's. Case 6 of docs/developers/scenarios.md.

use std::collections::BTreeMap;

use crate::bench::{Bench, CONTROL_PLANE, Need, Report, leak, scenario, together};
use pinif_lab::{Device, LinkKind, Namespace};

together! {
    elsewhere:
        a_containers_packets_through_a_bridge_are_nobodys_here,
        a_containers_device_is_not_the_cards_with_its_index,
        a_containers_packets_through_a_netkit_pair_are_nobodys_here,
        a_containers_device_behind_netkit_is_not_the_cards_with_its_index,
        a_containers_packets_that_are_routed_are_nobodys_here,
        a_containers_packets_that_are_routed_behind_netkit_are_nobodys_here,
        a_containers_control_traffic_that_is_routed_outside_leaks;
}

const BRIDGE: [Need; 1] = [Need::Link(LinkKind::Bridge)];
const NETKIT: [Need; 1] = [Need::Link(LinkKind::Netkit)];

/// How a container is plugged into the card.
#[derive(Clone, Copy)]
enum Plug {
    Veth,
    Netkit,
}

/// A container, whose `eth0` is plugged into the card's `port0`. In it, that has the index that fab0 has on the card.
///
/// ```text
///   box                                card
///   eth0 ───────────────────────────── port0
///   10.0.7.2/24, 02:…:52               02:…:51
/// ```
fn container(bench: &Bench, how: Plug) -> Namespace {
    let (card, container) = (bench.card(), Namespace::new("box").expect("a namespace"));
    match how {
        Plug::Veth => card.veth("port0", &container, "eth0", 0x51),
        Plug::Netkit => card.netkit("port0", &container, "eth0", 0x51),
    }
    .expect("a pair");
    assert_eq!(
        container.index("eth0").expect("it is there"),
        card.index("fab0").expect("it is there"),
        "the same index means another device there"
    );
    for (namespace, link) in [(card, "port0"), (&container, "eth0")] {
        namespace.set_up(link).expect("an end");
    }
    container
        .add_address("eth0", "10.0.7.2/24".parse().expect("an address"))
        .expect("an address");
    bench.count_on("port0");
    container
}

/// Makes one switch of the container's port and a link of the card; the container's neighbour `10.0.7.7` is beyond it.
fn switch(bench: &Bench, container: &Namespace, link: &str) {
    let card = bench.card();
    card.add_device(Device::new(LinkKind::Bridge, "br0"))
        .expect("a bridge");
    for port in ["port0", link] {
        card.enslave(port, "br0").expect("a port");
    }
    card.set_up("br0").expect("a bridge");
    card.wait_until_operational("br0").expect("a bridge");
    container
        .add_neighbour(
            "eth0",
            "10.0.7.7".parse().expect("an address"),
            &[0x02, 0, 0, 0, 0, 0x77],
        )
        .expect("a neighbour");
}

/// Makes the card the container's router, one that joins no groups of routers and so reports none.
fn route(bench: &Bench, container: &Namespace) {
    let card = bench.card();
    for link in ["port0", "fab0", "eth1"] {
        card.set_multicast(link, false).expect("a link");
    }
    card.set_sysctl("ipv4/ip_forward", "1")
        .expect("IPv4 is there");
    card.add_address("port0", "10.0.7.1/24".parse().expect("an address"))
        .expect("an address");
    let router = "10.0.7.1".parse().expect("an address");
    let mac = card.mac("port0").expect("a MAC address");
    container
        .add_neighbour("eth0", router, &mac)
        .expect("a neighbour");
    let everything = "0.0.0.0/0".parse().expect("a prefix");
    container
        .add_route(pinif_lab::Route::new(everything, "eth0").via(router))
        .expect("a route");
}

/// The container sends 1000 datagrams by a socket that is bound to its eth0. The auditor sees the process and its socket,
/// whose device means nothing on the card.
fn send(bench: &Bench, container: &Namespace, to: &str) {
    let sent = bench
        .sender_in(
            container,
            &format!("udp --bind-device eth0 --to {to} --count 1000"),
        )
        .finish();
    assert_eq!(sent.sent, 1000, "{sent:?}");
}

fn switched(name: &str, needs: &[Need], how: Plug, link: &'static str) {
    scenario(name, needs, |bench| {
        let container = container(bench, how);
        switch(bench, &container, link);
        let auditor = bench.audit(&[]);
        send(bench, &container, "10.0.7.7:9");
        bench.wait_until_sent(link, 1000);
        auditor
            .stop()
            .expect()
            .contained_unpinned(link, 1000)
            .total(1000)
            .nothing_else();
    });
}

fn a_containers_packets_through_a_bridge_are_nobodys_here() {
    switched("6 veth-bridge", &BRIDGE, Plug::Veth, "fab0");
}

fn a_containers_device_is_not_the_cards_with_its_index() {
    // Older kernels let the packet keep its socket here, whose device has the index of fab0.
    switched("6 veth-bridge-same-index", &BRIDGE, Plug::Veth, "eth1");
}

fn a_containers_packets_through_a_netkit_pair_are_nobodys_here() {
    let needs = [NETKIT[0], BRIDGE[0]];
    switched("6 netkit-bridge", &needs, Plug::Netkit, "fab0");
}

fn a_containers_device_behind_netkit_is_not_the_cards_with_its_index() {
    let needs = [NETKIT[0], BRIDGE[0]];
    switched("6 netkit-bridge-same-index", &needs, Plug::Netkit, "eth1");
}

fn routed(name: &str, needs: &[Need], how: Plug) {
    scenario(name, needs, |bench| {
        let container = container(bench, how);
        route(bench, &container);
        let auditor = bench.audit(&[]);
        send(bench, &container, "203.0.113.9:9");
        bench.wait_until_sent("eth1", 1000);
        auditor
            .stop()
            .expect()
            .contained_unpinned("eth1", 1000)
            .total(1000)
            .nothing_else();
    });
}

fn a_containers_packets_that_are_routed_are_nobodys_here() {
    routed("6 veth-routed", &[], Plug::Veth);
}

fn a_containers_packets_that_are_routed_behind_netkit_are_nobodys_here() {
    routed("6 netkit-routed", &NETKIT, Plug::Netkit);
}

fn a_containers_control_traffic_that_is_routed_outside_leaks() {
    scenario("16 container", &[], |bench| {
        let container = container(bench, Plug::Veth);
        route(bench, &container);
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        send(bench, &container, "10.9.0.9:9");
        bench.wait_until_sent("eth1", 1000);
        let escape = leak("policy-escape")
            .rule("control-plane")
            .egress("eth1")
            .packets(1000)
            .destination("10.9.0.9:9");
        auditor.stop().expect().finding(escape).nothing_else();
    });
}

/// Packets by namespace, bound device, egress interface and verdict.
fn cells(report: &Report) -> BTreeMap<(String, String, String, String), u64> {
    let mut cells = BTreeMap::new();
    for cell in &report.summary.matrix {
        let bound = cell.bound_device.clone().unwrap_or_default();
        let place = (
            cell.netns.clone(),
            bound,
            cell.egress_interface.clone(),
            cell.verdict.name().to_owned(),
        );
        *cells.entry(place).or_default() += cell.packets;
    }
    cells
}

fn both_audited(name: &str, needs: &[Need], how: Plug) {
    scenario(name, needs, |bench| {
        let container = container(bench, how);
        switch(bench, &container, "eth1");
        let auditor = bench.audit(&["--netns", container.name()]);
        send(bench, &container, "10.0.7.7:9");
        bench.wait_until_sent("eth1", 1000);
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        let cell = |netns: &Namespace, bound: &str, egress: &str| {
            let place = (
                netns.name().to_owned(),
                bound.to_owned(),
                egress.to_owned(),
                "contained".to_owned(),
            );
            (place, 1000)
        };
        let expected = BTreeMap::from([
            cell(&container, "eth0", "eth0"),
            cell(bench.card(), "", "eth1"),
        ]);
        assert_eq!(cells(&report), expected, "{report}");
        assert!(report.summary.uncounted.is_empty(), "{report}");
        assert_eq!(report.status.code(), Some(0), "{report}");
    });
}

#[test]
fn a_container_and_the_card_each_count_their_own() {
    both_audited("6 veth-both", &BRIDGE, Plug::Veth);
}

#[test]
fn a_container_behind_netkit_and_the_card_each_count_their_own() {
    both_audited("6 netkit-both", &[NETKIT[0], BRIDGE[0]], Plug::Netkit);
}
