//! Interfaces that rest on others: what is bound to the upper one leaves by the lower. Case 2 of KERNEL.md, and the leaks
//! past such an interface.

mod bench;

use std::fs;

use bench::{Bench, Need, leak, scenario, wait_until};
use netlink_packet_route::link::{BondMode, IpVlanMode};
use pinif_userspace::lab::{Device, LinkKind};

/// The card's address on the device of a scenario is `10.0.7.1`, and this is its neighbour.
const TO: &str = "10.0.7.2:9";

const BOND: [Need; 1] = [Need::Link(LinkKind::Bond)];
const VLAN: [Need; 1] = [Need::Link(LinkKind::Vlan)];
const IPVLAN: [Need; 1] = [Need::Link(LinkKind::IpVlan)];

/// Plugs two further links of the card into the peer, which takes all and answers nothing: they have no addresses there.
fn plug(bench: &Bench) {
    let (card, peer) = (bench.card(), &bench.chassis.peer);
    for (link, mac) in [("fab1", 0x31), ("fab2", 0x41)] {
        card.veth(link, peer, link, mac).expect("a pair");
        peer.set_up(link).expect("the peer's end");
        bench.count_on(link);
    }
}

/// Sets them up, as they are to be where nobody else does.
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

/// A bond of fab1 and fab2.
fn bond(bench: &Bench, mode: BondMode) {
    plug(bench);
    add(bench, Device::new(LinkKind::Bond, "bond0").bond_mode(mode));
    enslave(bench, &["fab1", "fab2"], "bond0");
    settle_in(bench, "bond0");
    for port in ["fab1", "fab2"] {
        bench.card().wait_until_operational(port).expect("a port");
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

#[test]
fn a_bond_sends_by_its_active_port() {
    scenario("2 bond", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        carried(bench, "bond0", TO, &[("bond0", 1000), ("fab1", 1000)]);
    });
}

#[test]
fn a_bond_sends_ipv6_by_its_active_port() {
    scenario("2 bond-v6", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let path = [("bond0", 1000), ("fab1", 1000)];
        carried(bench, "bond0", "[fd07::2]:9", &path);
    });
}

#[test]
fn a_bond_sends_by_its_ports_in_turn() {
    scenario("2 bond-round-robin", &BOND, |bench| {
        bond(bench, BondMode::BalanceRr);
        let path = [("bond0", 1000), ("fab1", 500), ("fab2", 500)];
        carried(bench, "bond0", TO, &path);
    });
}

#[test]
fn a_bond_sends_the_other_way_when_a_port_fails() {
    scenario("2 bond-failover", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        // It tells nobody of the change (neighbour advertisements).
        bench.run("ip", "link set bond0 type bond num_grat_arp 0");
        let auditor = bench.audit(&[]);
        let mut sender = bench.sender(&format!(
            "udp --bind-device bond0 --to {TO} --count 1000 --pause-after 400"
        ));
        sender.wait_for("paused");
        let peer = &bench.chassis.peer;
        peer.set_down("fab1").expect("the peer unplugs it");
        wait_until("the bond has changed its port", || {
            let told = bench
                .card()
                .run(|| fs::read_to_string("/proc/thread-self/net/bonding/bond0"))
                .expect("the card");
            told.expect("the bond tells of itself")
                .contains("Currently Active Slave: fab2")
        });
        sender.go();
        sender.finish();
        auditor
            .stop()
            .expect()
            .contained("bond0", "bond0", 1000)
            .contained("bond0", "fab1", 400)
            .contained("bond0", "fab2", 600)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_bond_sends_by_all_its_ports() {
    scenario("2 bond-broadcast", &BOND, |bench| {
        bond(bench, BondMode::Broadcast);
        let path = [("bond0", 1000), ("fab1", 1000), ("fab2", 1000)];
        carried(bench, "bond0", TO, &path);
    });
}

#[test]
fn a_bond_that_negotiates_tells_no_stories() {
    scenario("2 bond-lacp", &BOND, |bench| {
        bond(bench, BondMode::Ieee8023Ad);
        let auditor = bench.audit(&[]);
        bench.send(&format!("udp --bind-device bond0 --to {TO} --count 1000"));
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        // What the ports negotiate (LACP) is the kernel's own, and comes as it likes.
        let of_the_bond = |link: &str| {
            let places = report.places();
            let place = (
                Some("bond0".to_owned()),
                link.to_owned(),
                "contained".to_owned(),
            );
            places.get(&place).map_or(0, |(packets, _)| *packets)
        };
        assert_eq!(of_the_bond("bond0"), 1000, "{report}");
        assert_eq!(of_the_bond("fab1") + of_the_bond("fab2"), 1000, "{report}");
        assert!(report.summary.uncounted.is_empty(), "{report}");
    });
}

#[test]
fn a_bonds_address_is_at_home_on_its_port() {
    scenario("2 bond-address", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let auditor = bench.audit(&[]);
        bench.send(&format!("udp --bind 10.0.7.1 --to {TO} --count 1000"));
        auditor
            .stop()
            .expect()
            .contained_unpinned("bond0", 1000)
            .contained_unpinned("fab1", 1000)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_bonds_zone_holds_on_its_port() {
    const POLICY: &str = r#"
[zone.backplane]
interfaces = ["bond*"]
contained = true

[[rule]]
name = "control-plane"
destination = ["10.0.0.0/8"]
only_via = ["backplane"]
pinned = true
"#;
    scenario("2 bond-policy", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let auditor = bench.audit_with(POLICY, &[]);
        bench.send(&format!("udp --bind-device bond0 --to {TO} --count 1000"));
        auditor
            .stop()
            .expect()
            .contained("bond0", "bond0", 1000)
            .contained("bond0", "fab1", 1000)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_socket_bound_to_a_bond_leaks_beside_it() {
    scenario("10 pktinfo-bond", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "udp --bind-device bond0 --pktinfo eth1 --to {TO} --count 1000"
        ));
        let escape = leak("device-escape")
            .bound("bond0")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .finding(escape)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_socket_bound_to_a_port_leaks_by_its_bonds_other_port() {
    scenario("10 pktinfo-bond-of-port", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let auditor = bench.audit(&[]);
        // fab2 is a port that the bond does not send by now.
        let sent = bench.send(&format!(
            "udp --bind-device fab2 --pktinfo bond0 --to {TO} --count 1000"
        ));
        let escape = |link: &str| {
            leak("device-escape")
                .bound("fab2")
                .egress(link)
                .packets(1000)
                .by(&sent)
        };
        auditor
            .stop()
            .expect()
            .finding(escape("bond0"))
            .finding(escape("fab1"))
            .total(1000)
            .nothing_else();
    });
}

/// A VLAN on fab1.
fn vlan(bench: &Bench) {
    plug(bench);
    up(bench);
    add(
        bench,
        Device::new(LinkKind::Vlan, "fab1.42").over("fab1").id(42),
    );
    settle_in(bench, "fab1.42");
}

#[test]
fn a_vlan_sends_by_its_trunk() {
    scenario("2 vlan", &VLAN, |bench| {
        vlan(bench);
        carried(bench, "fab1.42", TO, &[("fab1.42", 1000), ("fab1", 1000)]);
    });
}

#[test]
fn a_vlan_sends_ipv6_by_its_trunk() {
    scenario("2 vlan-v6", &VLAN, |bench| {
        vlan(bench);
        let path = [("fab1.42", 1000), ("fab1", 1000)];
        carried(bench, "fab1.42", "[fd07::2]:9", &path);
    });
}

#[test]
fn a_vlan_in_a_vlan_sends_by_both() {
    scenario("2 vlan-in-vlan", &VLAN, |bench| {
        plug(bench);
        up(bench);
        add(
            bench,
            Device::new(LinkKind::Vlan, "outer").over("fab1").id(42),
        );
        bench.card().set_up("outer").expect("a VLAN");
        add(
            bench,
            Device::new(LinkKind::Vlan, "inner").over("outer").id(7),
        );
        settle_in(bench, "inner");
        let path = [("inner", 1000), ("outer", 1000), ("fab1", 1000)];
        carried(bench, "inner", TO, &path);
    });
}

#[test]
fn a_vlans_address_is_at_home_on_its_trunk() {
    scenario("2 vlan-address", &VLAN, |bench| {
        vlan(bench);
        let auditor = bench.audit(&[]);
        bench.send(&format!("udp --bind 10.0.7.1 --to {TO} --count 1000"));
        auditor
            .stop()
            .expect()
            .contained_unpinned("fab1.42", 1000)
            .contained_unpinned("fab1", 1000)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_socket_bound_to_a_vlan_leaks_by_its_neighbour_on_the_trunk() {
    scenario("10 pktinfo-sibling-vlan", &VLAN, |bench| {
        vlan(bench);
        add(
            bench,
            Device::new(LinkKind::Vlan, "fab1.43").over("fab1").id(43),
        );
        bench.card().set_up("fab1.43").expect("a VLAN");
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "udp --bind-device fab1.42 --pktinfo fab1.43 --to {TO} --count 1000"
        ));
        let escape = leak("device-escape")
            .bound("fab1.42")
            .egress("fab1.43")
            .packets(1000)
            .by(&sent);
        // The trunk carries both.
        auditor
            .stop()
            .expect()
            .finding(escape)
            .contained("fab1.42", "fab1", 1000)
            .total(1000)
            .nothing_else();
    });
}

#[test]
fn a_socket_bound_to_the_trunk_leaks_by_a_vlan() {
    scenario("10 pktinfo-trunk", &VLAN, |bench| {
        vlan(bench);
        let auditor = bench.audit(&[]);
        let sent = bench.send(&format!(
            "udp --bind-device fab1 --pktinfo fab1.42 --to {TO} --count 1000"
        ));
        let escape = leak("device-escape")
            .bound("fab1")
            .egress("fab1.42")
            .packets(1000)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .finding(escape)
            .contained("fab1", "fab1", 1000)
            .total(1000)
            .nothing_else();
    });
}

/// A bridge of fab1 and fab2.
fn bridge(bench: &Bench) {
    plug(bench);
    up(bench);
    add(bench, Device::new(LinkKind::Bridge, "br0"));
    enslave(bench, &["fab1", "fab2"], "br0");
    settle_in(bench, "br0");
}

#[test]
fn a_bridge_sends_by_the_port_that_it_learned() {
    let needs = [Need::Link(LinkKind::Bridge), Need::Program("bridge")];
    scenario("2 bridge", &needs, |bench| {
        bridge(bench);
        bench.run("bridge", "fdb add 02:00:00:00:00:77 dev fab2 master static");
        carried(bench, "br0", TO, &[("br0", 1000), ("fab2", 1000)]);
    });
}

#[test]
fn a_bridge_floods_all_its_ports() {
    let needs = [Need::Link(LinkKind::Bridge)];
    scenario("2 bridge-flood", &needs, |bench| {
        bridge(bench);
        // All but the last are clones that have lost the socket (`deliver_clone`).
        let path = [("br0", 1000), ("fab1", 1000), ("fab2", 1000)];
        carried(bench, "br0", TO, &path);
    });
}

#[test]
fn a_macvlan_sends_by_its_link() {
    scenario("2 macvlan", &[Need::Link(LinkKind::MacVlan)], |bench| {
        plug(bench);
        up(bench);
        add(bench, Device::new(LinkKind::MacVlan, "mv0").over("fab1"));
        settle_in(bench, "mv0");
        carried(bench, "mv0", TO, &[("mv0", 1000), ("fab1", 1000)]);
    });
}

/// A macvlan's way to a group is by clones (`macvlan_broadcast`), which lose the socket.
#[test]
fn a_macvlan_sends_to_a_group_by_its_link() {
    scenario(
        "2 macvlan-multicast",
        &[Need::Link(LinkKind::MacVlan)],
        |bench| {
            plug(bench);
            up(bench);
            for name in ["mv0", "mv1"] {
                add(bench, Device::new(LinkKind::MacVlan, name).over("fab1"));
            }
            settle_in(bench, "mv0");
            bench.card().set_up("mv1").expect("a sibling");
            let path = [("mv0", 1000), ("fab1", 1000)];
            carried(bench, "mv0", "239.1.2.3:9", &path);
        },
    );
}

fn ipvlan(name: &str, mode: IpVlanMode) {
    scenario(name, &IPVLAN, |bench| {
        plug(bench);
        up(bench);
        let device = Device::new(LinkKind::IpVlan, "ipv0").over("fab1");
        add(bench, device.ipvlan_mode(mode));
        settle_in(bench, "ipv0");
        if mode != IpVlanMode::L2 {
            // It asks the routing table itself (`ipvlan_process_v4_outbound`), and names the neighbour on the link below.
            let neighbour = "10.0.7.2".parse().expect("an address");
            bench
                .card()
                .add_neighbour("fab1", neighbour, &[0x02, 0, 0, 0, 0, 0x77])
                .expect("a neighbour");
        }
        carried(bench, "ipv0", TO, &[("ipv0", 1000), ("fab1", 1000)]);
    });
}

#[test]
fn an_ipvlan_sends_by_its_link() {
    ipvlan("2 ipvlan", IpVlanMode::L2);
}

#[test]
fn a_routing_ipvlan_sends_by_its_link() {
    ipvlan("2 ipvlan-l3", IpVlanMode::L3);
}

#[test]
fn a_routing_ipvlan_with_netfilter_sends_by_its_link() {
    ipvlan("2 ipvlan-l3s", IpVlanMode::L3S);
}

#[test]
fn a_team_sends_by_its_ports_in_turn() {
    let needs = [Need::Link(LinkKind::Team), Need::Program("teamnl")];
    scenario("2 team", &needs, |bench| {
        plug(bench);
        add(bench, Device::new(LinkKind::Team, "team0"));
        bench.run("teamnl", "team0 setoption mode roundrobin");
        enslave(bench, &["fab1", "fab2"], "team0");
        settle_in(bench, "team0");
        for port in ["fab1", "fab2"] {
            bench.card().wait_until_operational(port).expect("a port");
        }
        let path = [("team0", 1000), ("fab1", 500), ("fab2", 500)];
        carried(bench, "team0", TO, &path);
    });
}

#[test]
fn a_vlan_on_a_bond_in_a_bridge_sends_by_all_of_them() {
    let needs = [
        Need::Link(LinkKind::Bond),
        Need::Link(LinkKind::Vlan),
        Need::Link(LinkKind::Bridge),
    ];
    scenario("2 bridge-vlan-bond", &needs, |bench| {
        plug(bench);
        add(bench, Device::new(LinkKind::Bond, "bond0"));
        enslave(bench, &["fab1", "fab2"], "bond0");
        bench.card().set_up("bond0").expect("a bond");
        bench
            .card()
            .wait_until_operational("bond0")
            .expect("a bond");
        add(
            bench,
            Device::new(LinkKind::Vlan, "bond0.42").over("bond0").id(42),
        );
        bench.card().set_up("bond0.42").expect("a VLAN");
        add(bench, Device::new(LinkKind::Bridge, "br0"));
        enslave(bench, &["bond0.42"], "br0");
        settle_in(bench, "br0");
        let path = [
            ("br0", 1000),
            ("bond0.42", 1000),
            ("bond0", 1000),
            ("fab1", 1000),
        ];
        carried(bench, "br0", TO, &path);
    });
}

#[test]
fn a_macvlan_on_a_vlan_on_a_bond_sends_by_all_of_them() {
    let needs = [
        Need::Link(LinkKind::Bond),
        Need::Link(LinkKind::Vlan),
        Need::Link(LinkKind::MacVlan),
    ];
    scenario("2 macvlan-vlan-bond", &needs, |bench| {
        bond(bench, BondMode::BalanceRr);
        add(
            bench,
            Device::new(LinkKind::Vlan, "bond0.42").over("bond0").id(42),
        );
        bench.card().set_up("bond0.42").expect("a VLAN");
        add(
            bench,
            Device::new(LinkKind::MacVlan, "mv0").over("bond0.42"),
        );
        let card = bench.card();
        for address in ["10.0.7.1/24", "fd07::1/64"] {
            let address = address.parse().expect("an address");
            card.delete_address("bond0", address).expect("it has it");
        }
        settle_in(bench, "mv0");
        let path = [
            ("mv0", 1000),
            ("bond0.42", 1000),
            ("bond0", 1000),
            ("fab1", 500),
            ("fab2", 500),
        ];
        carried(bench, "mv0", TO, &path);
    });
}

#[test]
fn an_address_of_a_bond_is_not_at_home_beside_it() {
    scenario("9 address-bind-bond", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind 10.0.7.1 --to 203.0.113.9:9 --count 1000");
        let escape = bench::risk("address-escape")
            .egress("eth1")
            .packets(1000)
            .by(&sent);
        auditor
            .stop()
            .expect()
            .finding(escape)
            .total(1000)
            .nothing_else();
    });
}
