//! Tunnels: what is bound to one leaves by it, and its outer packets are the kernel's. Case 4 of docs/developers/scenarios.md.

use std::net::Ipv4Addr;

use crate::bench::{Bench, Need, Report, leak, risk, scenario, together};
use pinif_lab::{Device, LinkKind, Route};

together! {
    routed_tunnels:
        vxlan_over_a_route,
        a_raw_socket_in_vxlan,
        geneve_over_a_route,
        gre_over_a_route,
        a_raw_socket_in_gre,
        gretap_over_a_route,
        ipip_over_a_route,
        vxlan_over_a_device,
        a_tunnels_own_address_may_leave_by_the_wrong_interface,
        a_socket_bound_to_a_tunnel_that_leaves_beside_it_escapes,
        a_socket_bound_elsewhere_escapes_through_a_tunnel;
}

/// The tunnel's other end: no link of the card knows it, so that a route chooses the underlay. No host is there, to answer
/// that it knows no such protocol.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// In the tunnel.
const INSIDE: &str = "10.77.0.1/24";

/// Makes a tunnel named tun0, up, with addresses and a neighbour.
fn tunnel(bench: &Bench, device: Device<'_>) {
    let card = bench.card();
    card.add_device(device).expect("a tunnel");
    card.set_up("tun0").expect("up");
    let address = INSIDE.parse().expect("an address");
    card.add_address("tun0", address).expect("an address");
    let neighbour = "10.77.0.2".parse().expect("an address");
    card.add_neighbour("tun0", neighbour, &[2, 0, 0, 0, 0, 0x77])
        .expect("a neighbour");
}

fn routed<'a>(kind: LinkKind) -> Device<'a> {
    Device::new(kind, "tun0")
        .id(7)
        .between(Ipv4Addr::new(192, 0, 2, 1), FAR)
}

/// A route to the tunnel's other end by fab0, as long as it is there; else the default one is by eth1.
fn by_the_backplane() -> Route {
    let far = "198.51.100.7/32".parse().expect("a network");
    Route::new(far, "fab0").via(Ipv4Addr::new(10, 0, 0, 2).into())
}

#[track_caller]
fn counted(report: &Report, packets: u64) {
    assert_eq!(
        report.summary.packets, packets,
        "the total of packets\n{report}"
    );
}

/// What is sent into the tunnel is contained, and its outer packets too.
fn contained(name: &str, kind: LinkKind, send: &str) {
    scenario(name, &[Need::Link(kind)], |bench| {
        tunnel(bench, routed(kind));
        let auditor = bench.audit(&[]);
        bench.send(send);
        let report = auditor.stop();
        counted(&report, 1000);
        report
            .expect()
            .contained("tun0", "tun0", 1000)
            .contained_unpinned("eth1", 1000)
            .nothing_else();
    });
}

const UDP: &str = "udp --bind-device tun0 --to 10.77.0.2:9 --count 1000";
const RAW: &str = "raw --bind-device tun0 --to 10.77.0.2 --count 1000";

fn vxlan_over_a_route() {
    contained("4 vxlan-routed", LinkKind::Vxlan, UDP);
}

fn a_raw_socket_in_vxlan() {
    contained("4 vxlan-raw", LinkKind::Vxlan, RAW);
}

fn geneve_over_a_route() {
    contained("4 geneve-routed", LinkKind::Geneve, UDP);
}

fn gre_over_a_route() {
    contained("4 gre-routed", LinkKind::Gre, UDP);
}

fn a_raw_socket_in_gre() {
    contained("4 gre-raw", LinkKind::Gre, RAW);
}

fn gretap_over_a_route() {
    contained("4 gretap-routed", LinkKind::GreTap, UDP);
}

fn ipip_over_a_route() {
    contained("4 ipip-routed", LinkKind::IpIp, UDP);
}

fn vxlan_over_a_device() {
    let need = [Need::Link(LinkKind::Vxlan)];
    scenario("4 vxlan-device", &need, |bench| {
        let device = Device::new(LinkKind::Vxlan, "tun0")
            .id(7)
            .between(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
            .over("fab0");
        tunnel(bench, device);
        let auditor = bench.audit(&[]);
        bench.send(UDP);
        let report = auditor.stop();
        counted(&report, 1000);
        report
            .expect()
            .contained("tun0", "tun0", 1000)
            .contained_unpinned("fab0", 1000)
            .nothing_else();
    });
}

#[test]
fn a_tunnel_follows_its_route_from_one_underlay_to_another() {
    let need = [Need::Link(LinkKind::Vxlan)];
    scenario("4 vxlan-moved", &need, |bench| {
        let card = bench.card();
        // No address of its own: the underlay's, whichever that is.
        let device = Device::new(LinkKind::Vxlan, "tun0")
            .id(7)
            .between(Ipv4Addr::UNSPECIFIED, FAR);
        tunnel(bench, device);
        let auditor = bench.audit(&[]);
        let mut sender =
            bench.sender("udp --bind-device tun0 --to 10.77.0.2:9 --until-line --wait-stdin");
        sender.wait_for("ready").go();
        for _ in 0..100 {
            card.add_route(by_the_backplane()).expect("a route");
            card.delete_route(by_the_backplane()).expect("a route");
        }
        // A busy machine may not have run the sender at any of these moments.
        card.add_route(by_the_backplane()).expect("a route");
        let one = bench.send("udp --bind-device tun0 --to 10.77.0.2:9 --count 1");
        sender.go();
        let sent = sender.finish().sent + one.sent;
        let report = auditor.stop();
        assert_eq!(report.findings.len(), 0, "{report}");
        counted(&report, sent);
        let by = |interface: &str| {
            let cells = report.summary.matrix.iter();
            let cells = cells.filter(|cell| cell.egress_interface == interface);
            cells.map(|cell| cell.packets).sum::<u64>()
        };
        assert_eq!(by("tun0"), sent, "{report}");
        assert_eq!(by("fab0") + by("eth1"), sent, "{report}");
        assert!(by("fab0") > 0, "the route never moved\n{report}");
    });
}

fn a_tunnels_own_address_may_leave_by_the_wrong_interface() {
    let need = [Need::Link(LinkKind::Vxlan)];
    scenario("9 vxlan-outer-address", &need, |bench| {
        let device = Device::new(LinkKind::Vxlan, "tun0")
            .id(7)
            .between(Ipv4Addr::new(10, 0, 0, 1), FAR);
        tunnel(bench, device);
        let auditor = bench.audit(&[]);
        // One flow: VXLAN makes its source port of the inner packet's addresses and ports.
        bench.send(UDP);
        let report = auditor.stop();
        counted(&report, 1000);
        let escape = risk("address-escape")
            .egress("eth1")
            .packets(1000)
            .protocol("udp")
            .destination("198.51.100.7:4789");
        report
            .expect()
            .contained("tun0", "tun0", 1000)
            .finding(escape)
            .nothing_else();
    });
}

fn a_socket_bound_to_a_tunnel_that_leaves_beside_it_escapes() {
    let need = [Need::Link(LinkKind::Vxlan)];
    scenario("10 beside-vxlan", &need, |bench| {
        tunnel(bench, routed(LinkKind::Vxlan));
        let auditor = bench.audit(&[]);
        // To the tunnel's own port, but with a header of the socket's own.
        let sent =
            bench.send("udp --bind-device tun0 --pktinfo eth1 --to 198.51.100.7:4789 --count 1000");
        let report = auditor.stop();
        counted(&report, 1000);
        let escape = leak("device-escape")
            .bound("tun0")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        report.expect().finding(escape).nothing_else();
    });
}

fn a_socket_bound_elsewhere_escapes_through_a_tunnel() {
    let need = [Need::Link(LinkKind::Vxlan)];
    scenario("10 through-vxlan", &need, |bench| {
        tunnel(bench, routed(LinkKind::Vxlan));
        let auditor = bench.audit(&[]);
        let sent =
            bench.send("udp --bind-device fab0 --pktinfo tun0 --to 10.77.0.2:9 --count 1000");
        let report = auditor.stop();
        let escape = |egress| {
            leak("device-escape")
                .bound("fab0")
                .egress(egress)
                .packets(1000)
                .by(&sent)
        };
        report
            .expect()
            .finding(escape("tun0"))
            .finding(escape("eth1"))
            .nothing_else();
    });
}
