//! Bridges, teams, macvlans and ipvlans.

use netlink_packet_route::link::IpVlanMode;
use pinif_lab::{Device, LinkKind};

use super::{TO, add, carried, enslave, plug, settle_in, up};
use crate::bench::{Bench, Need, scenario, together};

together! {
    links:
        a_bridge_sends_by_the_port_that_it_learned,
        a_bridge_floods_all_its_ports,
        a_macvlan_sends_by_its_link,
        a_macvlan_sends_to_a_group_by_its_link,
        an_ipvlan_sends_by_its_link,
        a_routing_ipvlan_sends_by_its_link,
        a_routing_ipvlan_with_netfilter_sends_by_its_link,
        a_team_sends_by_its_ports_in_turn,
        a_leg_into_a_bridge_sends_by_its_ports;
}

const IPVLAN: [Need; 1] = [Need::Link(LinkKind::IpVlan)];

/// A bridge of fab1 and fab2.
fn bridge(bench: &Bench) {
    plug(bench);
    up(bench);
    add(bench, Device::new(LinkKind::Bridge, "br0"));
    enslave(bench, &["fab1", "fab2"], "br0");
    settle_in(bench, "br0");
}

fn a_bridge_sends_by_the_port_that_it_learned() {
    let needs = [Need::Link(LinkKind::Bridge), Need::Program("bridge")];
    scenario("2 bridge", &needs, |bench| {
        bridge(bench);
        bench.run("bridge", "fdb add 02:00:00:00:00:77 dev fab2 master static");
        carried(bench, "br0", TO, &[("br0", 1000), ("fab2", 1000)]);
    });
}

fn a_bridge_floods_all_its_ports() {
    let needs = [Need::Link(LinkKind::Bridge)];
    scenario("2 bridge-flood", &needs, |bench| {
        bridge(bench);
        // All but the last are clones that have lost the socket (`deliver_clone`).
        let path = [("br0", 1000), ("fab1", 1000), ("fab2", 1000)];
        carried(bench, "br0", TO, &path);
    });
}

fn a_macvlan_sends_by_its_link() {
    scenario("2 macvlan", &[Need::Link(LinkKind::MacVlan)], |bench| {
        plug(bench);
        up(bench);
        add(bench, Device::new(LinkKind::MacVlan, "mv0").over("fab1"));
        settle_in(bench, "mv0");
        carried(bench, "mv0", TO, &[("mv0", 1000), ("fab1", 1000)]);
    });
}

/// A macvlan sends to a group by clones (`macvlan_broadcast`), which lose the socket.
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

fn an_ipvlan_sends_by_its_link() {
    ipvlan("2 ipvlan", IpVlanMode::L2);
}

fn a_routing_ipvlan_sends_by_its_link() {
    ipvlan("2 ipvlan-l3", IpVlanMode::L3);
}

fn a_routing_ipvlan_with_netfilter_sends_by_its_link() {
    ipvlan("2 ipvlan-l3s", IpVlanMode::L3S);
}

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

/// A host's own leg: one end of a veth has its address, the other is a port of the bridge.
fn a_leg_into_a_bridge_sends_by_its_ports() {
    scenario("2 bridge-leg", &[Need::Link(LinkKind::Bridge)], |bench| {
        bridge(bench);
        let card = bench.card();
        card.veth("leg0", card, "leg1", 0x41).expect("a pair");
        card.enslave("leg1", "br0").expect("a port");
        for end in ["leg0", "leg1"] {
            card.set_up(end).expect("an end");
        }
        card.wait_until_operational("leg0").expect("it is up");
        card.add_address("leg0", "10.0.8.1/24".parse().expect("an address"))
            .expect("an address");
        card.add_neighbour(
            "leg0",
            "10.0.8.2".parse().expect("an address"),
            &[2, 0, 0, 0, 0, 0x77],
        )
        .expect("a neighbour");
        let auditor = bench.audit(&["--enforce"]);
        let sent = bench.send("udp --bind-device leg0 --to 10.0.8.2:9 --count 1000");
        assert_eq!(sent.sent, 1000, "{sent:?}");
        bench.wait_until_sent("fab2", 1000);
        auditor
            .stop()
            .expect()
            .contained("leg0", "leg0", 1000)
            .contained("leg0", "fab1", 1000)
            .contained("leg0", "fab2", 1000)
            .total(1000)
            .nothing_else();
    });
}
