//! Bonds: several links as one.

use std::fs;

use netlink_packet_route::link::BondMode;
use pinif_lab::{Device, LinkKind};

use super::{TO, add, carried, enslave, plug, settle_in};
use crate::bench::{Bench, Events, Need, leak, risk, scenario, together, wait_until};

together! {
    bonds:
        a_bond_sends_by_its_active_port,
        a_bond_sends_ipv6_by_its_active_port,
        a_bond_sends_by_its_ports_in_turn,
        a_bond_sends_the_other_way_when_a_port_fails,
        a_bond_sends_by_all_its_ports,
        a_bond_that_negotiates_is_no_finding,
        a_bonds_address_is_at_home_on_its_port,
        a_bonds_zone_holds_on_its_port,
        a_socket_bound_to_a_bond_leaks_beside_it,
        a_socket_bound_to_a_port_leaks_by_its_bonds_other_port,
        an_address_of_a_bond_is_not_at_home_beside_it;
}

pub const BOND: [Need; 1] = [Need::Link(LinkKind::Bond)];

/// A bond of fab1 and fab2.
pub fn bond(bench: &Bench, mode: BondMode) {
    plug(bench);
    add(bench, Device::new(LinkKind::Bond, "bond0").bond_mode(mode));
    enslave(bench, &["fab1", "fab2"], "bond0");
    settle_in(bench, "bond0");
    for port in ["fab1", "fab2"] {
        bench.card().wait_until_operational(port).expect("a port");
    }
}

fn a_bond_sends_by_its_active_port() {
    scenario("2 bond", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        carried(bench, "bond0", TO, &[("bond0", 1000), ("fab1", 1000)]);
    });
}

fn a_bond_sends_ipv6_by_its_active_port() {
    scenario("2 bond-v6", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let path = [("bond0", 1000), ("fab1", 1000)];
        carried(bench, "bond0", "[fd07::2]:9", &path);
    });
}

fn a_bond_sends_by_its_ports_in_turn() {
    scenario("2 bond-round-robin", &BOND, |bench| {
        bond(bench, BondMode::BalanceRr);
        let path = [("bond0", 1000), ("fab1", 500), ("fab2", 500)];
        carried(bench, "bond0", TO, &path);
    });
}

fn a_bond_sends_the_other_way_when_a_port_fails() {
    scenario("2 bond-failover", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        // It announces the change to no neighbour (neighbour advertisements).
        bench.run("ip", "link set bond0 type bond num_grat_arp 0");
        let auditor = bench.audit(&[]);
        let mut sender = bench.sender(&format!(
            "udp --bind-device bond0 --to {TO} --count 1000 --pause-after 400"
        ));
        sender.wait_for("paused");
        let peer = &bench.chassis.peer;
        let events = Events::of_links([bench.card()]);
        peer.set_down("fab1").expect("the peer unplugs it");
        wait_until("the bond has changed its port", &events, || {
            let state = bench
                .card()
                .run(|| fs::read_to_string("/proc/thread-self/net/bonding/bond0"))
                .expect("the card");
            state
                .expect("the bond has a file of its state")
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

fn a_bond_sends_by_all_its_ports() {
    scenario("2 bond-broadcast", &BOND, |bench| {
        bond(bench, BondMode::Broadcast);
        let path = [("bond0", 1000), ("fab1", 1000), ("fab2", 1000)];
        carried(bench, "bond0", TO, &path);
    });
}

fn a_bond_that_negotiates_is_no_finding() {
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

fn an_address_of_a_bond_is_not_at_home_beside_it() {
    scenario("9 address-bind-bond", &BOND, |bench| {
        bond(bench, BondMode::ActiveBackup);
        let auditor = bench.audit(&[]);
        let sent = bench.send("udp --bind 10.0.7.1 --to 203.0.113.9:9 --count 1000");
        let escape = risk("address-escape")
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
