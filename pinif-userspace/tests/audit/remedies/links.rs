//! Remedies that name each type of link: what is given a route, and what is bound to.

use crate::bench::carry::{COUNT, From, Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, Need};
use pinif_lab::LinkKind;

/// What goes to 10.2.0.2 belongs to `fab2`, which `make` makes above fab0, and leaves by eth1.
fn by(name: &'static str, kind: LinkKind, make: fn(&Bench)) {
    Mistake {
        name,
        needs: match kind {
            LinkKind::MacVlan => &[Need::Link(LinkKind::MacVlan)],
            LinkKind::Vlan => &[Need::Link(LinkKind::Vlan)],
            LinkKind::Bond => &[Need::Link(LinkKind::Bond)],
            _ => &[Need::Link(LinkKind::Bridge)],
        },
        kind: "policy-escape",
        cause: "route 10.2.0.0/30 via 192.0.2.2 dev eth1 in table main",
        policy: Some(CONTROL_PLANE),
        packets: Some(COUNT),
        make,
        meanwhile: |_| (),
        from: From::Card,
        sends: "udp --to 10.2.0.2:7009 --count 10",
        remedies: vec![
            operator(
                "give 10.2.0.2 a route via fab2 (`ip route replace 10.2.0.2 dev fab2`)",
                Then::Peer,
            ),
            operator(
                "start the program by pinif run (`pinif run --interface fab2 -- COMMAND`)",
                Then::Peer,
            ),
            developer("bind the socket to fab2 with SO_BINDTODEVICE", Then::Peer),
        ],
    }
    .is_fixed();
}

/// Gives fab2 its network, of which the peer's link has an address too, and a route that leads away from it.
fn number(bench: &Bench, far: &str) {
    bench.run("ip", "link set fab2 multicast off up");
    bench.run("ip", "address add 10.2.0.1/24 dev fab2");
    bench.run("ip", "route add 10.2.0.0/30 via 192.0.2.2 dev eth1");
    let peer = &bench.chassis.peer;
    peer.add_address(far, "10.2.0.2/24".parse().expect("an address"))
        .expect("the peer's");
    let mac = peer.mac("fab0").expect("it is there");
    bench
        .card()
        .add_neighbour("fab2", "10.2.0.2".parse().expect("an address"), &mac)
        .expect("a neighbour");
}

#[test]
fn a_macvlan_is_named() {
    by("30 link-macvlan", LinkKind::MacVlan, |bench| {
        bench.run(
            "ip",
            "link add link fab0 name fab2 type macvlan mode bridge",
        );
        number(bench, "fab0");
    });
}

#[test]
fn a_bridge_is_named() {
    by("30 link-bridge", LinkKind::Bridge, |bench| {
        bench.run("ip", "link add fab2 type bridge mcast_snooping 0");
        bench.run("ip", "link set fab0 master fab2");
        number(bench, "fab0");
    });
}

#[test]
fn a_vlan_is_named() {
    by("30 link-vlan", LinkKind::Vlan, |bench| {
        bench.run("ip", "link add link fab0 name fab2 type vlan id 5");
        let peer = &bench.chassis.peer;
        let far = pinif_lab::Device::new(LinkKind::Vlan, "far2")
            .id(5)
            .over("fab0");
        peer.add_device(far).expect("a VLAN");
        peer.set_up("far2").expect("it goes up");
        number(bench, "far2");
    });
}

#[test]
fn a_bond_is_named() {
    by("30 link-bond", LinkKind::Bond, |bench| {
        bench.run("ip", "link add fab2 type bond mode active-backup");
        bench.run("ip", "link set fab0 down");
        bench.run("ip", "link set fab0 master fab2");
        number(bench, "fab0");
    });
}
