//! Tunnels: what is bound to one leaves inside of it, by the interface that leads to its other end. Case 4 of docs/developers/scenarios.md.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::bench::{Bench, Need, leak, scenario, together};
use pinif_lab::{Device, LinkKind, Namespace};
use tempfile::NamedTempFile;

together! {
    inside:
        vxlan_is_carried_by_the_device_that_it_names,
        vxlan_is_carried_by_where_its_route_leads,
        vxlan_carries_ipv6,
        geneve_is_carried_by_where_its_route_leads,
        gre_is_carried_by_where_its_route_leads,
        gre_is_carried_by_the_device_that_it_names,
        ethernet_in_gre_is_carried_by_where_its_route_leads,
        ipip_is_carried_by_where_its_route_leads,
        ipip_is_carried_by_the_device_that_it_names,
        sit_is_carried_by_where_its_route_leads;
    around_and_beside:
        a_tunnels_address_is_at_home_below_it,
        a_tunnel_to_the_outside_is_carried_there,
        a_socket_bound_to_a_tunnel_leaks_beside_it,
        an_xfrm_interface_is_carried_by_where_its_route_leads,
        wireguard_is_carried_by_where_its_peer_is,
        vxlan_over_wireguard_is_carried_by_both,
        a_socket_bound_to_wireguard_leaks_beside_it;
}

/// The other end is on the backplane, takes all, and answers nothing.
const FAR: [u8; 4] = [10, 0, 0, 77];
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];

fn introduce(bench: &Bench, link: &str, neighbour: &str) {
    bench
        .card()
        .add_neighbour(link, neighbour.parse().expect("an address"), &NOBODY)
        .expect("a neighbour");
}

/// A tunnel of this kind from 10.0.0.1 to [`FAR`], with addresses of its own.
fn tunnel<'a>(bench: &Bench, kind: LinkKind, name: &'a str, lower: Option<&'a str>) {
    let device = Device::new(kind, name)
        .id(7)
        .between([10, 0, 0, 1].into(), FAR.into());
    let device = match lower {
        Some(lower) => device.over(lower),
        None => device,
    };
    bench.card().add_device(device).expect("a tunnel");
    introduce(bench, "fab0", "10.0.0.77");
    settle_in(bench.card(), name, ["10.0.7.1/24", "fd07::1/64"]);
    for neighbour in ["10.0.7.2", "fd07::2"] {
        let is_layer_3 = matches!(
            kind,
            LinkKind::Gre | LinkKind::IpIp | LinkKind::Sit | LinkKind::Xfrm
        );
        if !is_layer_3 {
            introduce(bench, name, neighbour);
        }
    }
}

fn settle_in(namespace: &Namespace, link: &str, addresses: [&str; 2]) {
    namespace.set_up(link).expect("it goes up");
    for address in addresses {
        namespace
            .add_address(link, address.parse().expect("an address"))
            .expect("an address");
    }
}

/// 1000 datagrams of a socket that is bound to the tunnel, and as many around them.
fn carried(bench: &Bench, name: &str, to: &str) {
    let auditor = bench.audit(&[]);
    let sent = bench.send(&format!("udp --bind-device {name} --to {to} --count 1000"));
    assert_eq!(sent.sent, 1000, "{sent:?}");
    auditor
        .stop()
        .expect()
        .contained(name, name, 1000)
        .contained_unpinned("fab0", 1000)
        .total(1000)
        .nothing_else();
}

fn sends_through(name: &str, kind: LinkKind, lower: Option<&str>, to: &str) {
    scenario(name, &[Need::Link(kind)], |bench| {
        tunnel(bench, kind, "tun7", lower);
        carried(bench, "tun7", to);
    });
}

const V4: &str = "10.0.7.2:9";
const V6: &str = "[fd07::2]:9";

fn vxlan_is_carried_by_the_device_that_it_names() {
    sends_through("4 vxlan-dev", LinkKind::Vxlan, Some("fab0"), V4);
}

fn vxlan_is_carried_by_where_its_route_leads() {
    sends_through("4 vxlan", LinkKind::Vxlan, None, V4);
}

fn vxlan_carries_ipv6() {
    sends_through("4 vxlan-v6", LinkKind::Vxlan, None, V6);
}

fn geneve_is_carried_by_where_its_route_leads() {
    sends_through("4 geneve", LinkKind::Geneve, None, V4);
}

fn gre_is_carried_by_where_its_route_leads() {
    sends_through("4 gre", LinkKind::Gre, None, V4);
}

fn gre_is_carried_by_the_device_that_it_names() {
    sends_through("4 gre-dev", LinkKind::Gre, Some("fab0"), V4);
}

fn ethernet_in_gre_is_carried_by_where_its_route_leads() {
    sends_through("4 gretap", LinkKind::GreTap, None, V4);
}

fn ipip_is_carried_by_where_its_route_leads() {
    sends_through("4 ipip", LinkKind::IpIp, None, V4);
}

fn ipip_is_carried_by_the_device_that_it_names() {
    sends_through("4 ipip-dev", LinkKind::IpIp, Some("fab0"), V4);
}

fn sit_is_carried_by_where_its_route_leads() {
    sends_through("4 sit", LinkKind::Sit, None, V6);
}

fn a_tunnels_address_is_at_home_below_it() {
    scenario("4 vxlan-address", &[Need::Link(LinkKind::Vxlan)], |bench| {
        tunnel(bench, LinkKind::Vxlan, "tun7", None);
        let auditor = bench.audit(&[]);
        bench.send(&format!("udp --bind 10.0.7.1 --to {V4} --count 1000"));
        auditor
            .stop()
            .expect()
            .contained_unpinned("tun7", 1000)
            .contained_unpinned("fab0", 1000)
            .total(1000)
            .nothing_else();
    });
}

/// The policy may forbid it, but not the socket: it is bound to the tunnel, and that leads there.
fn a_tunnel_to_the_outside_is_carried_there() {
    scenario("4 vxlan-outside", &[Need::Link(LinkKind::Vxlan)], |bench| {
        let device = Device::new(LinkKind::Vxlan, "tun7")
            .id(7)
            .between([192, 0, 2, 1].into(), [198, 51, 100, 7].into());
        bench.card().add_device(device).expect("a tunnel");
        settle_in(bench.card(), "tun7", ["10.0.7.1/24", "fd07::1/64"]);
        introduce(bench, "tun7", "10.0.7.2");
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!("udp --bind-device tun7 --to {V4} --count 1000"));
        assert_eq!(sent.sent, 1000, "{sent:?}");
        auditor
            .stop()
            .expect()
            .contained("tun7", "tun7", 1000)
            .contained_unpinned("eth1", 1000)
            .total(1000)
            .nothing_else();
    });
}

fn a_socket_bound_to_a_tunnel_leaks_beside_it() {
    scenario(
        "10 pktinfo-vxlan",
        &[Need::Link(LinkKind::Vxlan)],
        |bench| {
            tunnel(bench, LinkKind::Vxlan, "tun7", None);
            let auditor = bench.audit(&[]);
            let sent = bench.send(&format!(
                "udp --bind-device tun7 --pktinfo eth1 --to {V4} --count 1000"
            ));
            let escape = leak("device-escape")
                .bound("tun7")
                .egress("eth1")
                .packets(1000)
                .by(&sent);
            auditor.stop().expect().finding(escape).nothing_else();
        },
    );
}

fn an_xfrm_interface_is_carried_by_where_its_route_leads() {
    let needs = [Need::Link(LinkKind::Xfrm), Need::Program("ip")];
    scenario("4 xfrm", &needs, |bench| {
        tunnel(bench, LinkKind::Xfrm, "tun7", None);
        bench.run(
            "ip",
            "xfrm state add src 10.0.0.1 dst 10.0.0.77 proto esp spi 7 reqid 7 mode tunnel if_id 7 \
             aead rfc4106(gcm(aes)) 0x0123456789abcdef0123456789abcdef01234567 128",
        );
        bench.run(
            "ip",
            "xfrm policy add src 10.0.7.0/24 dst 10.0.7.0/24 dir out if_id 7 \
             tmpl src 10.0.0.1 dst 10.0.0.77 proto esp reqid 7 mode tunnel",
        );
        carried(bench, "tun7", V4);
    });
}

pub(crate) const WIREGUARD: [Need; 2] = [Need::Link(LinkKind::WireGuard), Need::Program("wg")];

/// What `wg` says, given something on its standard input.
fn wg(namespace: &Namespace, arguments: &str, input: &str) -> String {
    let mut command = Command::new("wg");
    command
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = namespace
        .run(|| command.spawn())
        .expect("the namespace")
        .expect("wg is installed");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("wg reads");
    drop(stdin);
    let output = child.wait_with_output().expect("a child");
    assert!(
        output.status.success(),
        "wg {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A WireGuard tunnel over the backplane, with its other end on the peer.
fn wireguard(bench: &Bench) {
    wireguard_pair(bench, ["wg0", "wg0"]);
    settle_in(bench.card(), "wg0", ["10.0.7.1/24", "fd07::1/64"]);
    settle_in(&bench.chassis.peer, "wg0", ["10.0.7.2/24", "fd07::2/64"]);
}

/// The devices of such a tunnel, down and without addresses: this one on the card, that one on the peer.
pub(crate) fn wireguard_pair(bench: &Bench, [near, far]: [&str; 2]) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    let ends = [(card, "10.0.0.1", near), (peer, "10.0.0.2", far)];
    let keys = [(); 2].map(|()| {
        let private = wg(card, "genkey", "");
        let public = wg(card, "pubkey", &private);
        (private, public)
    });
    for (at, (namespace, _, name)) in ends.iter().enumerate() {
        let mut key = NamedTempFile::new().expect("a file");
        key.write_all(keys[at].0.as_bytes()).expect("a key");
        namespace
            .add_device(Device::new(LinkKind::WireGuard, name))
            .expect("a WireGuard device");
        let (_, endpoint, _) = ends[1 - at];
        let far = &keys[1 - at].1;
        wg(
            namespace,
            &format!(
                "set {name} listen-port 51820 private-key {} peer {far} endpoint {endpoint}:51820 allowed-ips 0.0.0.0/0,::/0",
                key.path().display()
            ),
            "",
        );
    }
}

/// 1000 datagrams of a socket that is bound to `device` over wg0. The first of them waits for the handshake, and so that
/// no queue overflows, the others for it.
fn through_wireguard(bench: &Bench, device: &str) {
    let auditor = bench.audit(&[]);
    let mut sender = bench.sender(&format!(
        "udp --bind-device {device} --to {V4} --count 1000 --pause-after 1"
    ));
    sender.wait_for("paused");
    bench.wait_until_sent("fab0", 2);
    sender.go();
    let sent = sender.finish();
    assert_eq!(sent.sent, 1000, "{sent:?}");
    bench.wait_until_sent("fab0", 1001);
    let report = auditor.stop();
    // Outer packets are the kernel's, and the handshake, in which nothing is.
    let expected = report
        .expect()
        .contained(device, device, 1000)
        .contained_unpinned("fab0", 1001)
        .total(1001);
    if device == "wg0" {
        expected.nothing_else();
    } else {
        expected.contained_unpinned("wg0", 1000).nothing_else();
    }
}

fn wireguard_is_carried_by_where_its_peer_is() {
    scenario("4 wireguard", &WIREGUARD, |bench| {
        wireguard(bench);
        through_wireguard(bench, "wg0");
    });
}

fn vxlan_over_wireguard_is_carried_by_both() {
    let needs = [WIREGUARD[0], WIREGUARD[1], Need::Link(LinkKind::Vxlan)];
    scenario("4 vxlan-wireguard", &needs, |bench| {
        wireguard(bench);
        let card = bench.card();
        for address in ["10.0.7.1/24", "fd07::1/64"] {
            let address = address.parse().expect("an address");
            card.delete_address("wg0", address).expect("it has it");
        }
        settle_in(card, "wg0", ["10.0.8.1/24", "fd08::1/64"]);
        let device = Device::new(LinkKind::Vxlan, "tun7")
            .id(7)
            .between([10, 0, 8, 1].into(), [10, 0, 8, 2].into());
        card.add_device(device).expect("a tunnel");
        settle_in(card, "tun7", ["10.0.7.1/24", "fd07::1/64"]);
        introduce(bench, "tun7", "10.0.7.2");
        through_wireguard(bench, "tun7");
    });
}

fn a_socket_bound_to_wireguard_leaks_beside_it() {
    scenario("10 pktinfo-wireguard", &WIREGUARD, |bench| {
        wireguard(bench);
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind-device wg0 --pktinfo eth1 --to 10.0.7.2:9 --count 1000");
        let escape = leak("device-escape")
            .bound("wg0")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        auditor.stop().expect().finding(escape).nothing_else();
    });
}
