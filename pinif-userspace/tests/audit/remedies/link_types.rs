//! The types of links that remedies name.

use std::process::Command;

use super::links::{
    Link, V4, V6, by_address, by_device, by_rule, link_type, number, number_v6, tunnel, tunnelled,
    vlan,
};
use super::replies::{by_link, by_link_v6};
use crate::bench::carry::{Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, Need, scenario};
use crate::tunnels::{WIREGUARD, wireguard_pair};
use pinif_lab::{Device, LinkKind};

/// A pair of veth into a bridge, whose other port is fab0.
fn into_bridge(bench: &Bench) {
    bench.run("ip", "link add br0 type bridge mcast_snooping 0");
    bench.run("ip", "link add fab2 type veth peer name leg0");
    for port in ["fab0", "leg0"] {
        bench.run("ip", &format!("link set {port} master br0"));
    }
    for link in ["br0", "leg0"] {
        bench.run("ip", &format!("link set {link} multicast off up"));
    }
    number(bench, "fab0");
}

/// `ip` on the peer.
fn far_ip(bench: &Bench, arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace());
    let peer = &bench.chassis.peer;
    let output = peer.run(|| command.output()).expect("it is there");
    let output = output.expect("ip is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
}

link_type!(
    macvlan,
    MacVlan,
    [
        "30 link-macvlan",
        "30 link-macvlan-address",
        "30 link-macvlan-device"
    ],
    |bench| {
        bench.run(
            "ip",
            "link add link fab0 name fab2 type macvlan mode bridge",
        );
        number(bench, "fab0");
    }
);
// It has the hardware address of the link below it, and receives by the address of IP.
link_type!(
    ipvlan,
    IpVlan,
    [
        "30 link-ipvlan",
        "30 link-ipvlan-address",
        "30 link-ipvlan-device"
    ],
    reply "30 reply-ipvlan",
    |bench| {
        bench.run("ip", "link add link fab0 name fab2 type ipvlan mode l2");
        number(bench, "fab0");
    }
);
link_type!(
    bridge,
    Bridge,
    [
        "30 link-bridge",
        "30 link-bridge-address",
        "30 link-bridge-device"
    ],
    |bench| {
        bench.run("ip", "link add fab2 type bridge mcast_snooping 0");
        bench.run("ip", "link set fab0 master fab2");
        number(bench, "fab0");
    }
);
// The host's own leg into a bridge of the same namespace.
link_type!(
    leg,
    Bridge,
    ["30 link-leg", "30 link-leg-address", "30 link-leg-device"],
    reply "30 reply-leg",
    |bench| into_bridge(bench)
);
link_type!(
    vlan,
    Vlan,
    [
        "30 link-vlan",
        "30 link-vlan-address",
        "30 link-vlan-device"
    ],
    |bench| {
        vlan(bench);
    }
);
link_type!(
    bond,
    Bond,
    [
        "30 link-bond",
        "30 link-bond-address",
        "30 link-bond-device"
    ],
    |bench| {
        bench.run("ip", "link add fab2 type bond mode active-backup");
        bench.run("ip", "link set fab0 down");
        bench.run("ip", "link set fab0 master fab2");
        number(bench, "fab0");
    }
);

link_type!(
    netkit,
    Netkit,
    [
        "30 link-netkit",
        "30 link-netkit-address",
        "30 link-netkit-device"
    ],
    reply "30 reply-netkit",
    |bench| {
        let peer = &bench.chassis.peer;
        bench
            .card()
            .netkit("fab2", peer, "far2", 0x21)
            .expect("a pair");
        peer.set_up("far2").expect("it goes up");
        number(bench, "far2");
    }
);

link_type!(
    vxlan,
    Vxlan,
    [
        "30 link-vxlan",
        "30 link-vxlan-address",
        "30 link-vxlan-device"
    ],
    |bench| tunnelled(bench, LinkKind::Vxlan)
);
link_type!(
    gre,
    Gre,
    ["30 link-gre", "30 link-gre-address", "30 link-gre-device"],
    reply "30 reply-gre",
    |bench| tunnelled(bench, LinkKind::Gre)
);
link_type!(
    ipip,
    IpIp,
    [
        "30 link-ipip",
        "30 link-ipip-address",
        "30 link-ipip-device"
    ],
    reply "30 reply-ipip",
    |bench| tunnelled(bench, LinkKind::IpIp)
);
link_type!(
    geneve,
    Geneve,
    [
        "30 link-geneve",
        "30 link-geneve-address",
        "30 link-geneve-device"
    ],
    reply "30 reply-geneve",
    |bench| tunnelled(bench, LinkKind::Geneve)
);
link_type!(
    gretap,
    GreTap,
    [
        "30 link-gretap",
        "30 link-gretap-address",
        "30 link-gretap-device"
    ],
    reply "30 reply-gretap",
    |bench| tunnelled(bench, LinkKind::GreTap)
);
mod sit {
    use super::*;

    const LINK: Link = Link {
        names: ["30 link-sit", "30 link-sit-address", ""],
        needs: &[Need::Link(LinkKind::Sit), Need::Program("nft")],
        words: &V6,
        make: |bench| {
            tunnel(bench, LinkKind::Sit);
            number_v6(bench, "far2");
        },
    };

    #[test]
    fn it_is_named_by_a_rule() {
        by_rule(&LINK);
    }

    #[test]
    fn it_is_named_by_its_address() {
        by_address(&LINK);
    }

    #[test]
    fn an_answer_leaves_by_it() {
        by_link_v6(&LINK, &["30 v6-reply-sit"]);
    }
}
link_type!(
    wireguard,
    [
        "30 link-wireguard",
        "30 link-wireguard-address",
        "30 link-wireguard-device"
    ],
    [WIREGUARD[0], WIREGUARD[1], Need::Program("nft")],
    reply "30 reply-wireguard",
    |bench| {
        wireguard_pair(bench, ["fab2", "far2"]);
        bench.chassis.peer.set_up("far2").expect("it goes up");
        number(bench, "far2");
    }
);
link_type!(
    team,
    [
        "30 link-team",
        "30 link-team-address",
        "30 link-team-device"
    ],
    [
        Need::Link(LinkKind::Team),
        Need::Program("teamnl"),
        Need::Program("nft")
    ],
    reply "30 reply-team",
    |bench| {
        bench.run("ip", "link add fab2 type team");
        bench.run("teamnl", "fab2 setoption mode roundrobin");
        bench.run("ip", "link set fab0 down");
        bench.run("ip", "link set fab0 master fab2");
        number(bench, "fab0");
    }
);
// It sends each frame by two links.
link_type!(
    hsr,
    Hsr,
    ["30 link-hsr", "30 link-hsr-address", "30 link-hsr-device"],
    reply "30 reply-hsr",
    |bench| {
        let (card, peer) = (bench.card(), &bench.chassis.peer);
        card.veth("fab1", peer, "fab1", 0x21).expect("a pair");
        for (namespace, name) in [(card, "fab2"), (peer, "far2")] {
            namespace.set_up("fab1").expect("it goes up");
            let device = Device::new(LinkKind::Hsr, name);
            let device = device.over("fab0").and_over("fab1");
            namespace.add_device(device).expect("a ring");
        }
        peer.set_up("far2").expect("it goes up");
        number(bench, "far2");
    }
);
link_type!(
    xfrm,
    Xfrm,
    [
        "30 link-xfrm",
        "30 link-xfrm-address",
        "30 link-xfrm-device"
    ],
    reply "30 reply-xfrm",
    |bench| {
        tunnel(bench, LinkKind::Xfrm);
        for (from, to, out, into) in [
            ("10.0.0.1", "10.0.0.2", "out", "in"),
            ("10.0.0.2", "10.0.0.1", "in", "out"),
        ] {
            let state = format!(
                "xfrm state add src {from} dst {to} proto esp spi 7 reqid 7 mode tunnel if_id 5 \
                 aead rfc4106(gcm(aes)) 0x0123456789abcdef0123456789abcdef01234567 128"
            );
            let policy = |direction: &str| {
                format!(
                    "xfrm policy add src 0.0.0.0/0 dst 10.2.0.0/24 dir {direction} if_id 5 \
                     tmpl src {from} dst {to} proto esp reqid 7 mode tunnel"
                )
            };
            bench.run("ip", &state);
            bench.run("ip", &policy(out));
            far_ip(bench, &state);
            far_ip(bench, &policy(into));
        }
        number(bench, "far2");
    }
);

/// What is bound to a VRF goes where its table leads. Bound to that, it is no escape of its address.
#[test]
fn a_vrf_is_named_by_a_rule() {
    fn make(bench: &Bench) {
        bench.run("ip", "link add blue type vrf table 10");
        bench.run("ip", "link set blue up");
        for link in ["fab0", "eth1"] {
            bench.run("ip", &format!("link set {link} master blue"));
        }
        // The kernel forgets neighbours where a link gets another domain.
        bench.knows("fab0", "10.0.0.2");
        bench.knows("eth1", "192.0.2.2");
        bench.run(
            "ip",
            "route add 10.0.0.0/30 via 192.0.2.2 dev eth1 table 10",
        );
    }
    let mut remedies = vec![operator(
        "give 10.0.0.0/30 a route via fab0 in table 10 (vrf blue) (`ip route replace 10.0.0.0/30 dev fab0 table 10`)",
        Then::Peer,
    )];
    let bound = developer("bind the socket to fab0 instead of blue", Then::Peer);
    let holds = Need::VrfHolds.unmet().is_none();
    // The program goes no further than the refusal.
    let run = operator(
        "start the program by pinif run, which refuses to bind its sockets otherwise",
        Then::Words,
    );
    if holds {
        remedies.extend([run, bound]);
    }
    Mistake {
        needs: &[Need::Link(LinkKind::Vrf)],
        cause: "sent it to table 10 (vrf blue), whose route 10.0.0.0/30 via 192.0.2.2 leaves via eth1",
        policy: Some(CONTROL_PLANE),
        make,
        remedies,
        ..Mistake::of(
            "policy-escape",
            "30 link-vrf",
            "udp --bind-device blue --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed_by_each();
    if !holds {
        scenario("30 link-vrf remedy 2", &[Need::VrfHolds], |_| {
            unreachable!("it cannot run")
        });
    }
}
