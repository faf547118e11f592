//! VLANs, and their trunk.

use pinif_lab::{Device, LinkKind};

use super::{TO, add, carried, plug, settle_in, up};
use crate::bench::{Bench, Need, leak, scenario, together};

together! {
    vlans:
        a_vlan_sends_by_its_trunk,
        a_vlan_sends_ipv6_by_its_trunk,
        a_vlan_in_a_vlan_sends_by_both,
        a_vlans_address_is_at_home_on_its_trunk,
        a_socket_bound_to_a_vlan_leaks_by_its_neighbour_on_the_trunk,
        a_socket_bound_to_the_trunk_leaks_by_a_vlan;
}

const VLAN: [Need; 1] = [Need::Link(LinkKind::Vlan)];

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

fn a_vlan_sends_by_its_trunk() {
    scenario("2 vlan", &VLAN, |bench| {
        vlan(bench);
        carried(bench, "fab1.42", TO, &[("fab1.42", 1000), ("fab1", 1000)]);
    });
}

fn a_vlan_sends_ipv6_by_its_trunk() {
    scenario("2 vlan-v6", &VLAN, |bench| {
        vlan(bench);
        let path = [("fab1.42", 1000), ("fab1", 1000)];
        carried(bench, "fab1.42", "[fd07::2]:9", &path);
    });
}

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
