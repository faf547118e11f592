//! Remedies that name each type of link: what is given a route, and what is bound to.

use crate::bench::carry::{COUNT, From, Mistake, Then, Wanted, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, Need, scenario};
use pinif_lab::{Chassis, Device, LinkKind};
use std::net::Ipv4Addr;

/// A link, and what the machine must have for it.
struct Link {
    /// The scenarios' names: of a rule, of an address, of a device.
    names: [&'static str; 3],
    needs: &'static [Need],
    /// Makes `fab2` above fab0.
    make: fn(&Bench),
}

/// What goes to 10.2.0.2 belongs to `fab2`, and leaves by eth1.
fn of(link: &Link, name: usize, kind: &'static str, sends: &'static str) -> Mistake {
    Mistake {
        needs: link.needs,
        cause: "route 10.2.0.0/30 via 192.0.2.2 dev eth1 in table main",
        make: link.make,
        ..Mistake::of(kind, link.names[name], sends)
    }
}

const ROUTE: Wanted = operator(
    "give 10.2.0.2 a route via fab2 (`ip route replace 10.2.0.2 dev fab2`)",
    Then::Peer,
);
/// Of a rule that is for all of the wrong route's network.
const WHOLE: Wanted = operator(
    "give 10.2.0.0/30 a route via fab2 (`ip route replace 10.2.0.0/30 dev fab2`)",
    Then::Peer,
);
const RUN: Wanted = operator(
    "start the program by pinif run (`pinif run --interface fab2 -- COMMAND`)",
    Then::Peer,
);
const BIND: Wanted = developer("bind the socket to fab2 with SO_BINDTODEVICE", Then::Peer);

/// By a rule.
fn by_rule(link: &Link) {
    Mistake {
        policy: Some(CONTROL_PLANE),
        remedies: vec![WHOLE, RUN, BIND],
        ..of(
            link,
            0,
            "policy-escape",
            "udp --to 10.2.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// With an address of fab2.
fn by_address(link: &Link) {
    Mistake {
        remedies: vec![
            ROUTE,
            RUN,
            operator(
                "translate the source 10.2.0.1 to an address of eth1",
                Then::Outside,
            ),
            developer(
                "let the program send from 192.0.2.1, eth1's address, or from none",
                Then::Outside,
            ),
            BIND,
        ],
        ..of(
            link,
            1,
            "address-escape",
            "udp --bind 10.2.0.1 --to 10.2.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// Bound to fab2.
fn by_device(link: &Link) {
    Mistake {
        cause: "IP_PKTINFO override",
        remedies: vec![
            operator(
                "start the program by pinif run, which drops what would leave by another interface (`pinif run --interface fab2 -- \
                 COMMAND`)",
                Then::Nowhere,
            ),
            developer(
                "send without IP_PKTINFO's ipi_ifindex, or set it to fab2",
                Then::Peer,
            ),
        ],
        ..of(
            link,
            2,
            "device-escape",
            "udp --bind-device fab2 --pktinfo eth1 --to 10.2.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// Gives fab2 its network, of which the peer's link has an address too, and a route that leads away from it.
pub(super) fn number(bench: &Bench, far: &str) {
    bench.run("ip", "link set fab2 multicast off up");
    bench.run("ip", "address add 10.2.0.1/24 dev fab2");
    bench.run("ip", "route add 10.2.0.0/30 via 192.0.2.2 dev eth1");
    let Chassis { peer, outside, .. } = &bench.chassis;
    // What goes to it by eth1 arrives as well.
    outside
        .add_address("lo", "10.2.0.2/32".parse().expect("an address"))
        .expect("lo");
    peer.add_address(far, "10.2.0.2/24".parse().expect("an address"))
        .expect("the peer's");
    // What has no Ethernet has no neighbours.
    let ethernet = peer.mac(far).ok().filter(|mac| mac.len() == 6);
    if let Some(mac) = ethernet {
        bench
            .card()
            .add_neighbour("fab2", "10.2.0.2".parse().expect("an address"), &mac)
            .expect("a neighbour");
    }
}

/// A tunnel over the backplane, whose other end is the peer's.
pub(super) fn tunnelled(bench: &Bench, kind: LinkKind) {
    let ends = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from);
    let device =
        |name, [local, remote]: [Ipv4Addr; 2]| Device::new(kind, name).id(5).between(local, remote);
    let peer = &bench.chassis.peer;
    bench
        .card()
        .add_device(device("fab2", ends))
        .expect("a tunnel");
    let [own, far] = ends;
    peer.add_device(device("far2", [far, own]))
        .expect("a tunnel");
    peer.set_up("far2").expect("it goes up");
    number(bench, "far2");
}

/// A pair of veth into a bridge, whose other port is fab0.
fn leg(bench: &Bench) {
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

/// The scenarios of a link.
macro_rules! link {
    ($link:ident, $kind:ident, $names:expr, $make:expr) => {
        mod $link {
            use super::*;

            const LINK: Link = Link {
                names: $names,
                needs: &[Need::Link(LinkKind::$kind), Need::Program("nft")],
                make: $make,
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
            fn it_is_named_by_what_is_bound_to_it() {
                by_device(&LINK);
            }
        }
    };
}

link!(
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
link!(
    ipvlan,
    IpVlan,
    [
        "30 link-ipvlan",
        "30 link-ipvlan-address",
        "30 link-ipvlan-device"
    ],
    |bench| {
        bench.run("ip", "link add link fab0 name fab2 type ipvlan mode l2");
        number(bench, "fab0");
    }
);
link!(
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
link!(
    leg,
    Bridge,
    ["30 link-leg", "30 link-leg-address", "30 link-leg-device"],
    |bench| leg(bench)
);
link!(
    vlan,
    Vlan,
    [
        "30 link-vlan",
        "30 link-vlan-address",
        "30 link-vlan-device"
    ],
    |bench| {
        bench.run("ip", "link add link fab0 name fab2 type vlan id 5");
        let peer = &bench.chassis.peer;
        let far = Device::new(LinkKind::Vlan, "far2").id(5).over("fab0");
        peer.add_device(far).expect("a VLAN");
        peer.set_up("far2").expect("it goes up");
        number(bench, "far2");
    }
);
link!(
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

link!(
    netkit,
    Netkit,
    [
        "30 link-netkit",
        "30 link-netkit-address",
        "30 link-netkit-device"
    ],
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

link!(
    vxlan,
    Vxlan,
    [
        "30 link-vxlan",
        "30 link-vxlan-address",
        "30 link-vxlan-device"
    ],
    |bench| tunnelled(bench, LinkKind::Vxlan)
);
link!(
    gre,
    Gre,
    ["30 link-gre", "30 link-gre-address", "30 link-gre-device"],
    |bench| tunnelled(bench, LinkKind::Gre)
);
link!(
    ipip,
    IpIp,
    [
        "30 link-ipip",
        "30 link-ipip-address",
        "30 link-ipip-device"
    ],
    |bench| tunnelled(bench, LinkKind::IpIp)
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
        "give 10.0.0.2 a route via fab0 in table 10 (vrf blue) (`ip route replace 10.0.0.2 dev fab0 table 10`)",
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
        name: "30 link-vrf",
        needs: &[Need::Link(LinkKind::Vrf)],
        kind: "policy-escape",
        cause: "sent it to table 10 (vrf blue), whose route 10.0.0.0/30 via 192.0.2.2 leaves via eth1",
        policy: Some(CONTROL_PLANE),
        packets: Some(COUNT),
        make,
        meanwhile: |_| (),
        from: From::Card,
        sends: "udp --bind-device blue --to 10.0.0.2:7009 --count 10",
        remedies,
    }
    .is_fixed();
    if !holds {
        scenario("30 link-vrf remedy 2", &[Need::VrfHolds], |_| {
            unreachable!("it cannot run")
        });
    }
}
