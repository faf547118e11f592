//! Remedies that name each type of link: what is given a route, and what is bound to.

use crate::bench::carry::{Mistake, Then, Wanted, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, Need};
use pinif_lab::{Chassis, Device, LinkKind};
use std::net::Ipv4Addr;

/// A link, and what the machine must have for it.
pub(super) struct Link {
    /// The scenarios' names: of a rule, of an address, of a device.
    pub names: [&'static str; 3],
    pub needs: &'static [Need],
    /// What is said of what goes there.
    pub words: &'static Words,
    /// Makes `fab2` above fab0.
    pub make: fn(&Bench),
}

/// What is sent to the network of fab2, and what is said of it, in each family.
pub(super) struct Words {
    cause: &'static str,
    /// What a program sends: by a rule, and from an address of fab2.
    sends: [&'static str; 2],
    /// A route for the destination,
    route: &'static str,
    /// and for all of the wrong route's network, where a rule is for that.
    whole: &'static str,
    translate: &'static str,
    /// The source that the program may send from.
    source: &'static str,
}

pub(super) const V4: Words = Words {
    cause: "route 10.2.0.0/30 via 192.0.2.2 dev eth1 in table main",
    sends: [
        "udp --to 10.2.0.2:7009 --count 10",
        "udp --bind 10.2.0.1 --to 10.2.0.2:7009 --count 10",
    ],
    route: "give 10.2.0.2 a route via fab2 (`ip route replace 10.2.0.2 dev fab2`)",
    whole: "give 10.2.0.0/30 a route via fab2 (`ip route replace 10.2.0.0/30 dev fab2`)",
    translate: "translate the source 10.2.0.1 to an address of eth1",
    source: "let the program send from 192.0.2.1, eth1's address, or from none",
};

pub(super) const V6: Words = Words {
    cause: "route fd02::/80 via 2001:db8::2 dev eth1 in table main",
    sends: [
        "udp --to [fd02::2]:7009 --count 10",
        "udp --bind fd02::1 --to [fd02::2]:7009 --count 10",
    ],
    route: "give fd02::2 a route via fab2 (`ip -6 route replace fd02::2 dev fab2",
    whole: "give fd02::/80 a route via fab2 (`ip -6 route replace fd02::/80 dev fab2",
    translate: "translate the source fd02::1 to an address of eth1",
    source: "let the program send from 2001:db8::1, eth1's address, or from none",
};

/// What goes to that network belongs to `fab2`, and leaves by eth1.
fn of(link: &Link, name: usize, kind: &'static str, sends: &'static str) -> Mistake {
    Mistake {
        needs: link.needs,
        cause: link.words.cause,
        make: link.make,
        ..Mistake::of(kind, link.names[name], sends)
    }
}

const RUN: Wanted = operator(
    "start the program by pinif run (`pinif run --interface fab2 -- COMMAND`)",
    Then::Peer,
);
const BIND: Wanted = developer("bind the socket to fab2 with SO_BINDTODEVICE", Then::Peer);

/// By a rule.
pub(super) fn by_rule(link: &Link) {
    Mistake {
        policy: Some(CONTROL_PLANE),
        remedies: vec![operator(link.words.whole, Then::Peer), RUN, BIND],
        ..of(link, 0, "policy-escape", link.words.sends[0])
    }
    .is_fixed_by_each();
}

/// With an address of fab2.
pub(super) fn by_address(link: &Link) {
    Mistake {
        remedies: vec![
            operator(link.words.route, Then::Peer),
            RUN,
            operator(link.words.translate, Then::Outside),
            developer(link.words.source, Then::Outside),
            BIND,
        ],
        ..of(link, 1, "address-escape", link.words.sends[1])
    }
    .is_fixed_by_each();
}

/// Bound to fab2. In IPv6 the kernel refuses another interface than that (`ip6_datagram_send_ctl`).
pub(super) fn by_device(link: &Link) {
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
    .is_fixed_by_each();
}

/// A VLAN on both ends of fab0's cable.
pub(super) fn vlan(bench: &Bench) {
    bench.run("ip", "link add link fab0 name fab2 type vlan id 5");
    let peer = &bench.chassis.peer;
    let far = Device::new(LinkKind::Vlan, "far2").id(5).over("fab0");
    peer.add_device(far).expect("a VLAN");
    peer.set_up("far2").expect("it goes up");
    number(bench, "far2");
}

/// Gives fab2 its network, of which the peer's link has an address too, and a route that leads away from it.
pub(super) fn number(bench: &Bench, far: &str) {
    bench.run("ip", "link set fab2 multicast off up");
    bench.run("ip", "address add 10.2.0.1/24 dev fab2");
    bench.run("ip", "route add 10.2.0.0/30 via 192.0.2.2 dev eth1");
    answers(bench, far, ["10.2.0.2/32", "10.2.0.2/24"]);
    // What has no Ethernet has no neighbours.
    let ethernet = bench.chassis.peer.mac(far).ok();
    if let Some(mac) = ethernet.filter(|mac| mac.len() == 6) {
        bench
            .card()
            .add_neighbour("fab2", "10.2.0.2".parse().expect("an address"), &mac)
            .expect("a neighbour");
    }
}

/// The same of IPv6, by a link that has no neighbours.
pub(super) fn number_v6(bench: &Bench, far: &str) {
    bench.run("ip", "link set fab2 multicast off up");
    bench.run("ip", "address add fd02::1/64 dev fab2 nodad");
    bench.run("ip", "route add fd02::/80 via 2001:db8::2 dev eth1");
    answers(bench, far, ["fd02::2/128", "fd02::2/64"]);
}

/// The destination is there outside, for what goes to it by eth1, and on the peer's link.
fn answers(bench: &Bench, far: &str, [outside, peer]: [&str; 2]) {
    let Chassis {
        peer: namespace,
        outside: world,
        ..
    } = &bench.chassis;
    for (namespace, link, address) in [(world, "lo", outside), (namespace, far, peer)] {
        let address = address.parse().expect("an address");
        namespace.add_address(link, address).expect("it is added");
    }
}

/// A tunnel over the backplane, whose other end is the peer's.
pub(super) fn tunnel(bench: &Bench, kind: LinkKind) {
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
}

/// The same, with its network.
pub(super) fn tunnelled(bench: &Bench, kind: LinkKind) {
    tunnel(bench, kind);
    number(bench, "far2");
}

/// The scenarios of a link; with one of a server that is asked there, where its name is given.
macro_rules! link_type {
    ($link:ident, $kind:ident, $names:expr, reply $reply:expr, $make:expr) => {
        link_type!(
            $link,
            $names,
            [Need::Link(LinkKind::$kind), Need::Program("nft")],
            reply $reply,
            $make
        );
    };
    ($link:ident, $names:expr, $needs:expr, reply $reply:expr, $make:expr) => {
        link_type!($link, $names, $needs, $make);

        #[test]
        fn $link() {
            by_link(&$link::LINK, &[$reply]);
        }
    };
    ($link:ident, $kind:ident, $names:expr, $make:expr) => {
        link_type!(
            $link,
            $names,
            [Need::Link(LinkKind::$kind), Need::Program("nft")],
            $make
        );
    };
    ($link:ident, $names:expr, $needs:expr, $make:expr) => {
        mod $link {
            use super::*;

            pub(super) const LINK: Link = Link {
                names: $names,
                needs: &$needs,
                words: &V4,
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

pub(super) use link_type;
