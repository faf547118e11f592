//! The host changes under the auditor: what is contained the moment after a change is never reported as a leak, though pinif
//! learns of the change some milliseconds later.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, Need, Report, scenario};
use pinif_lab::{Device, LinkKind, Route, patience};
use socket2::{Domain, Protocol, Socket, Type};

/// How often the host changes. Where the processor is emulated, each change takes longer, and so does what follows of it.
fn changes() -> usize {
    100 / patience(Duration::from_secs(1)).as_secs().max(1) as usize
}

/// Where all goes.
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// All 10.0.0.0/8 leaves by these interfaces alone.
fn only_via(interfaces: &str) -> String {
    format!(
        "[zone.backplane]\ninterfaces = {interfaces}\ncontained = true\n\
         [[rule]]\nname = \"control-plane\"\ndestination = [\"10.0.0.0/8\"]\nonly_via = [\"backplane\"]\n"
    )
}

/// Sends a few datagrams to the peer from a new socket of the card's, bound to a device or to an address.
fn send(bench: &Bench, device: Option<&str>, address: Option<Ipv4Addr>) {
    let sent = bench.card().run(|| -> std::io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        if let Some(address) = address {
            socket.bind(&SocketAddr::from((address, 0)).into())?;
        }
        socket.bind_device(device.map(str::as_bytes))?;
        for _ in 0..5 {
            socket.send_to(&[0; 32], &SocketAddr::from((PEER, 9)).into())?;
        }
        Ok(())
    });
    sent.expect("the card").expect("datagrams are sent");
}

/// Every packet that left is in its cell, and nothing is found.
#[track_caller]
fn nothing_found(report: &Report, interface: &str, at_least: usize) {
    assert_eq!(report.findings.len(), 0, "{report}");
    let cells = report.summary.matrix.iter();
    let cells = cells.filter(|cell| cell.egress_interface == interface);
    let packets: u64 = cells.map(|cell| cell.packets).sum();
    assert!(
        packets >= at_least as u64,
        "{packets} packets left by {interface}\n{report}"
    );
}

fn meet_the_peer(bench: &Bench, link: &str) {
    let mac = bench.chassis.peer.mac("fab0").expect("a MAC address");
    let card = bench.card();
    card.add_neighbour(link, PEER.into(), &mac)
        .expect("a neighbour");
}

#[test]
fn a_port_that_joins_a_bridge() {
    let need = [Need::Link(LinkKind::Bridge), Need::Program("ip")];
    scenario("2 window-bridge", &need, |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Bridge, "br0"))
            .expect("a bridge");
        card.set_up("br0").expect("up");
        let address = "10.0.0.11/24".parse().expect("an address");
        card.add_address("br0", address).expect("an address");
        meet_the_peer(bench, "br0");
        let auditor = bench.audit_with(&only_via("[\"br0\"]"), &[]);
        for _ in 0..changes() {
            card.enslave("fab0", "br0").expect("a port");
            send(bench, Some("br0"), None);
            bench.run("ip", "link set fab0 nomaster");
        }
        // The bridge's own link comes and goes with its port, and drops most of them on a busy machine: its carrier is looked at
        // once a second at the latest (`linkwatch_schedule_work`).
        nothing_found(&auditor.stop(), "fab0", changes() / 10);
    });
}

#[test]
fn a_macvlan_that_is_made() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("2 window-macvlan", &need, |bench| {
        let card = bench.card();
        let auditor = bench.audit_with(&only_via("[\"mv*\"]"), &[]);
        for change in 0..changes() {
            let name = format!("mv{change}");
            card.add_device(Device::new(LinkKind::MacVlan, &name).over("fab0"))
                .expect("a macvlan");
            card.set_up(&name).expect("up");
            meet_the_peer(bench, &name);
            // Its first packets are not seen on it, which is not audited yet; on fab0 they are.
            send(bench, Some(&name), None);
            card.delete_link(&name).expect("a macvlan");
        }
        // What the kernel was given to send before the new link was operational, it may have dropped.
        let report = auditor.stop();
        let left = report.sent_by("fab0").packets as usize;
        assert!(left >= changes(), "{report}");
        nothing_found(&report, "fab0", left);
    });
}

#[test]
fn a_tunnel_that_is_made() {
    let need = [Need::Link(LinkKind::Vxlan)];
    scenario("4 window-vxlan", &need, |bench| {
        let card = bench.card();
        let auditor = bench.audit(&[]);
        for change in 0..changes() {
            let name = format!("tun{change}");
            let device = Device::new(LinkKind::Vxlan, &name)
                .id(7)
                .between(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7));
            card.add_device(device).expect("a tunnel");
            card.set_up(&name).expect("up");
            meet_the_peer(bench, &name);
            send(bench, Some(&name), None);
            card.delete_link(&name).expect("a tunnel");
        }
        nothing_found(&auditor.stop(), "eth1", 5 * changes());
    });
}

/// What is inside its packets is no route's to judge: the tunnel's device is where a rule keeps it.
#[test]
fn a_tunnel_of_a_rule_that_is_made() {
    let need = [Need::Link(LinkKind::IpIp)];
    scenario("4 window-ipip", &need, |bench| {
        let card = bench.card();
        let auditor = bench.audit_with(&only_via("[\"tun*\"]"), &[]);
        let changes = changes().div_ceil(4);
        for change in 0..changes {
            let name = format!("tun{change}");
            let ends = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7));
            let device = Device::new(LinkKind::IpIp, &name).between(ends.0, ends.1);
            card.add_device(device).expect("a tunnel");
            card.set_up(&name).expect("up");
            send(bench, Some(&name), None);
            card.delete_link(&name).expect("a tunnel");
        }
        nothing_found(&auditor.stop(), "eth1", 5 * changes);
    });
}

#[test]
fn an_address_that_moves() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("9 window-address", &need, |bench| {
        let card = bench.card();
        let address = Ipv4Addr::new(10, 0, 0, 50);
        let links = ["mv0", "mv1"];
        for link in links {
            card.add_device(Device::new(LinkKind::MacVlan, link).over("fab0"))
                .expect("a macvlan");
            card.set_up(link).expect("up");
            meet_the_peer(bench, link);
        }
        let auditor = bench.audit_with(&only_via("[\"mv*\"]"), &[]);
        let with_prefix = "10.0.0.50/32".parse().expect("an address");
        for change in 0..changes() {
            let link = links[change % 2];
            let peer = || Route::new("10.0.0.2/32".parse().expect("a network"), link);
            card.add_address(link, with_prefix).expect("an address");
            card.add_route(peer()).expect("a route");
            send(bench, None, Some(address));
            card.delete_route(peer()).expect("a route");
            card.delete_address(link, with_prefix).expect("an address");
        }
        let report = auditor.stop();
        nothing_found(&report, "mv0", 5 * changes() / 2);
        nothing_found(&report, "mv1", 5 * changes() / 2);
    });
}

#[test]
fn an_ipv6_address_that_moves() {
    let need = [Need::Link(LinkKind::MacVlan)];
    scenario("9 window-address-v6", &need, |bench| {
        let card = bench.card();
        let links = ["mv0", "mv1"];
        let mac = bench.chassis.peer.mac("fab0").expect("a MAC address");
        for link in links {
            card.add_device(Device::new(LinkKind::MacVlan, link).over("fab0"))
                .expect("a macvlan");
            card.set_up(link).expect("up");
            let peer = "fd00::2".parse().expect("an address");
            card.add_neighbour(link, peer, &mac).expect("a neighbour");
        }
        let auditor = bench.audit(&[]);
        let address = "fd00::50/128".parse().expect("an address");
        for change in 0..changes() {
            let link = links[change % 2];
            let peer = || Route::new("fd00::2/128".parse().expect("a network"), link);
            card.add_address(link, address).expect("an address");
            card.add_route(peer()).expect("a route");
            let sent = card.run(|| -> std::io::Result<()> {
                let socket = std::net::UdpSocket::bind("[fd00::50]:0")?;
                for _ in 0..5 {
                    socket.send_to(&[0; 32], "[fd00::2]:9")?;
                }
                Ok(())
            });
            sent.expect("the card").expect("datagrams are sent");
            card.delete_route(peer()).expect("a route");
            card.delete_address(link, address).expect("an address");
        }
        let report = auditor.stop();
        nothing_found(&report, "mv0", 5 * changes() / 2);
        nothing_found(&report, "mv1", 5 * changes() / 2);
    });
}

/// Gives an interface another name. It is down before: Linux renames one that is up only since 6.2.
fn rename(bench: &Bench, link: &str, name: &str) {
    for words in [&["down"][..], &["name", name]] {
        let mut command = Command::new("ip");
        command.args(["link", "set", link]).args(words);
        let output = bench.card().run(|| command.output()).expect("the card");
        assert!(output.expect("ip").status.success(), "{link} to {name}");
    }
    bench.card().set_up(name).expect("up");
}

#[test]
fn an_interface_that_gets_another_name() {
    let need = [Need::Program("ip")];
    scenario("12 window-name", &need, |bench| {
        let auditor = bench.audit_with(&only_via("[\"back*\"]"), &[]);
        for _ in 0..changes() {
            rename(bench, "fab0", "back0");
            send(bench, None, None);
            rename(bench, "back0", "fab0");
        }
        let report = auditor.stop();
        // All are counted under the name that it has in the end.
        nothing_found(&report, "fab0", 5 * changes());
    });
}
