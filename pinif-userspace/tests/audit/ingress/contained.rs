//! What arrives within, and what belongs to no interface.

use pinif_lab::{Device, LinkKind, Route};

use super::{NOTHING, plug, receiver, send};
use crate::bench::{CONTROL_PLANE, Need, scenario, together};

together! {
    within:
        what_arrives_within_is_contained,
        an_address_on_several_interfaces_belongs_to_none,
        another_interface_of_the_zone_is_within,
        a_bridge_takes_what_its_port_lets_in,
        groups_belong_to_no_interface,
        a_vlan_of_the_zone_arrives_by_its_trunk,
        an_address_in_a_vrf_is_not_reached_from_outside_it;
}

fn what_arrives_within_is_contained() {
    scenario("20 contained", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receivers = [
            receiver(bench, "--bind [::]:5000"),
            receiver(bench, "--bind 0.0.0.0:5001"),
        ];
        let (peer, outside) = (&bench.chassis.peer, &bench.chassis.outside);
        for (from, to) in [
            (peer, "10.0.0.1:5001"),
            (peer, "[fd00::1]:5000"),
            // What the peer sends by the backplane may be for the front port's address.
            (peer, "192.0.2.1:5001"),
            (outside, "192.0.2.1:5001"),
            (outside, "[2001:db8::1]:5000"),
        ] {
            send(bench, from, &format!("udp --to {to} --count 200"), 200);
        }
        drop(receivers);
        auditor.stop().expect().nothing_else();
    });
}

fn an_address_on_several_interfaces_belongs_to_none() {
    scenario("20 vip", NOTHING, |bench| {
        for link in ["fab0", "eth1"] {
            let vip = "10.0.0.100/32".parse().expect("an address");
            bench.card().add_address(link, vip).expect("a link");
        }
        let router_id = "10.255.0.1/32".parse().expect("an address");
        bench.card().add_address("lo", router_id).expect("lo");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        for to in ["10.0.0.100:5000", "10.255.0.1:5000"] {
            let to_it = format!("udp --to {to} --count 500");
            send(bench, &bench.chassis.outside, &to_it, 500);
        }
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}

fn another_interface_of_the_zone_is_within() {
    scenario("20 same-zone", NOTHING, |bench| {
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        plug(card, "fab1", peer, "10.0.1.1/24", "10.0.1.2/24");
        let there = Route::new("10.0.0.1/32".parse().expect("a prefix"), "fab1");
        let gateway = "10.0.1.1".parse().expect("an address");
        peer.add_route(there.via(gateway)).expect("a route");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 10.0.0.1:5000");
        let before = card.sent("fab1").expect("fab1");
        send(bench, peer, "udp --to 10.0.0.1:5000 --count 1000", 1000);
        assert_eq!(before, card.sent("fab1").expect("fab1"));
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}

fn a_bridge_takes_what_its_port_lets_in() {
    scenario("20 bridge", &[Need::Link(LinkKind::Bridge)], |bench| {
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        // The backplane is a bridge, of which no port has a name of the zone's.
        card.add_device(Device::new(LinkKind::Bridge, "fabbr"))
            .expect("a bridge");
        card.veth("port", peer, "port", 0x21).expect("a wire");
        card.enslave("port", "fabbr").expect("a port");
        for (namespace, link) in [(card, "port"), (card, "fabbr"), (peer, "port")] {
            namespace.set_up(link).expect("a link");
        }
        card.set_arp("fabbr", false).expect("a bridge");
        card.set_multicast("fabbr", false).expect("a bridge");
        for (namespace, link, address) in [
            (card, "fabbr", "10.0.7.1/24"),
            (peer, "port", "10.0.7.2/24"),
        ] {
            let address = address.parse().expect("an address");
            namespace.add_address(link, address).expect("a link");
            namespace.wait_until_operational(link).expect("a link");
        }
        let mac = card.mac("fabbr").expect("a bridge");
        for address in ["10.0.7.1", "10.0.0.1"] {
            let address = address.parse().expect("an address");
            peer.add_neighbour("port", address, &mac).expect("a link");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        send(bench, peer, "udp --to 10.0.7.1:5000 --count 500", 500);
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}

fn groups_belong_to_no_interface() {
    scenario("20 groups", NOTHING, |bench| {
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        let outside = &bench.chassis.outside;
        // So that a broadcast has the MAC address of one; all neighbours are named.
        outside.set_arp("eth0", true).expect("a link");
        for to in ["224.0.0.1:5000", "255.255.255.255:5000", "192.0.2.255:5000"] {
            let to_it = format!(
                "udp --bind 10.0.0.2 --multicast-if eth0 --broadcast --to {to} --count 100 --pktinfo eth0"
            );
            send(bench, outside, &to_it, 100);
        }
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}

fn a_vlan_of_the_zone_arrives_by_its_trunk() {
    scenario("20 vlan", &[Need::Link(LinkKind::Vlan)], |bench| {
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        for (namespace, trunk) in [(card, "eth1"), (outside, "eth0")] {
            namespace
                .add_device(Device::new(LinkKind::Vlan, "fabv").over(trunk).id(100))
                .expect("a VLAN");
            namespace.set_arp("fabv", false).expect("a VLAN");
            namespace.set_multicast("fabv", false).expect("a VLAN");
            namespace.set_up("fabv").expect("a VLAN");
        }
        for (namespace, address, other, far) in [
            (card, "10.0.8.1/24", "10.0.8.2", outside),
            (outside, "10.0.8.2/24", "10.0.8.1", card),
        ] {
            let address = address.parse().expect("an address");
            namespace.add_address("fabv", address).expect("a VLAN");
            namespace.wait_until_operational("fabv").expect("a VLAN");
            let mac = far.mac("fabv").expect("a VLAN");
            let other = other.parse().expect("an address");
            namespace
                .add_neighbour("fabv", other, &mac)
                .expect("a VLAN");
        }
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        // Tagged, it is the zone's; and the zone's address of another link is reached within the zone.
        send(bench, outside, "udp --to 10.0.8.1:5000 --count 1000", 1000);
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}

fn an_address_in_a_vrf_is_not_reached_from_outside_it() {
    scenario("20 vrf", &[Need::Link(LinkKind::Vrf)], |bench| {
        let card = bench.card();
        card.add_device(Device::new(LinkKind::Vrf, "blue").id(10))
            .expect("a VRF");
        card.set_up("blue").expect("a VRF");
        card.enslave("fab0", "blue").expect("a port");
        let auditor = bench.audit_with(CONTROL_PLANE, &[]);
        let receiver = receiver(bench, "--bind 0.0.0.0:5000");
        let to_it = "udp --to 10.0.0.1:5000 --count 10";
        send(bench, &bench.chassis.outside, to_it, 10);
        drop(receiver);
        auditor.stop().expect().nothing_else();
    });
}
