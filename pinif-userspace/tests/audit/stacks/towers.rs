//! Several layers.

use netlink_packet_route::link::BondMode;
use pinif_lab::{Device, LinkKind};

use super::bonds::bond;
use super::{TO, add, carried, enslave, plug, settle_in};
use crate::bench::{Need, scenario, together};

together! {
    towers:
        a_vlan_on_a_bond_in_a_bridge_sends_by_all_of_them,
        a_macvlan_on_a_vlan_on_a_bond_sends_by_all_of_them;
}

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
