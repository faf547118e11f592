//! The remedies of IPv6, each carried out as those of IPv4 are.

use super::peer_has;
use crate::bench::carry::{From, Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE};

/// Nothing reaches the world by fab0.
#[test]
fn an_address_of_another_interface_is_not_used() {
    Mistake {
        cause: "route ::/0 via 2001:db8::2 dev eth1 in table main",
        remedies: vec![
            operator(
                "translate the source fd00::1 to an address of eth1 where it leaves by that",
                Then::Outside,
            ),
            developer(
                "let the program send from 2001:db8::1, eth1's address, or from none (bind(), IPV6_PKTINFO)",
                Then::Outside,
            ),
        ],
        ..Mistake::of(
            "address-escape",
            "30 v6-beyond",
            "udp --bind fd00::1 --to [2001:db8:f::9]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A second default route is by fab0's router.
#[test]
fn a_router_of_the_right_link_is_used() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "-6 route add default via fd00::2 dev fab0 metric 2048",
        );
        peer_has(bench, "2001:db8:f::9/128");
    }
    Mistake {
        cause: "route ::/0 via 2001:db8::2 dev eth1 in table main",
        make,
        remedies: vec![
            operator(
                "give 2001:db8:f::9 a route via fab0 (`ip -6 route replace 2001:db8:f::9 via fd00::2 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            operator("translate the source fd00::1", Then::Outside),
            developer("let the program send from 2001:db8::1", Then::Outside),
            developer(
                "bind the socket to fab0 with SO_BINDTODEVICE",
                Then::Peer,
            ),
        ],
        ..Mistake::of(
            "address-escape",
            "30 v6-router",
            "udp --bind fd00::1 --to [2001:db8:f::9]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The route has the wrong `src`, and keeps all else that it has.
#[test]
fn a_route_gives_another_source() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "-6 route add 2001:db8:f::/48 via 2001:db8::2 dev eth1 src fd00::1 metric 5 mtu 1400 pref high",
        );
    }
    fn keeps_all_else(bench: &Bench) {
        let routes = bench.ask("ip", "-6 -o route show 2001:db8:f::/48");
        let route =
            "2001:db8:f::/48 via 2001:db8::2 dev eth1 src 2001:db8::1 metric 5 mtu 1400 pref high";
        let is_before = routes.contains(" src fd00::1 ");
        assert!(is_before || routes.trim_end() == route, "{routes}");
    }
    Mistake {
        cause: "the route gives packets the source fd00::1 (`src`); route 2001:db8:f::/48 via 2001:db8::2 dev eth1 src fd00::1 in \
                table main",
        make,
        meanwhile: keeps_all_else,
        remedies: vec![
            operator(
                "let the route 2001:db8:f::/48 give packets the source 2001:db8::1 (`ip -6 route replace 2001:db8:f::/48 via \
                 2001:db8::2 dev eth1 table 254 metric 5 src 2001:db8::1",
                Then::Outside,
            ),
            operator(
                "give eth1 the address fd00::1 as well",
                Then::Outside,
            ),
        ],
        ..Mistake::of(
            "address-escape",
            "30 v6-route-src",
            "udp --to [2001:db8:f::9]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// Somebody outside asks for an address of the backplane.
#[test]
fn a_reply_that_can_go_nowhere_else_is_dropped() {
    Mistake {
        cause: "the kernel's own reply; route 2001:db8::/64 dev eth1",
        from: From::Outside,
        remedies: vec![operator(
            "drop it where it leaves via eth1 (`nft ",
            Then::Nowhere,
        )],
        ..Mistake::of(
            "address-escape",
            "30 v6-reply-outside",
            "ping --to fd00::1 --count 10",
        )
    }
    .is_fixed();
}

/// The right route is there as well, behind the wrong one: the kernel would replace it by itself. Whoever has the address outside is asked for it,
/// and answers: that is named in the leak.
#[test]
fn a_route_before_the_right_one_is_deleted() {
    fn make(bench: &Bench) {
        let (card, outside) = (bench.card(), &bench.chassis.outside);
        for (namespace, link) in [(card, "eth1"), (outside, "eth0")] {
            namespace.set_arp(link, true).expect("it is there");
        }
        let own = "fd00::2/64".parse().expect("an address");
        outside.add_address("eth0", own).expect("eth0");
        // It asks for nobody.
        let (to, mac) = ("2001:db8::1".parse().expect("an address"), card.mac("eth1"));
        let known = outside.add_neighbour("eth0", to, &mac.expect("it is there"));
        known.expect("a neighbour");
        bench.run("ip", "-6 nexthop add id 7 dev eth1");
        bench.run("ip", "-6 route add fd00::/126 nhid 7");
        bench.run("ip", "-6 route append fd00::/126 dev fab0");
    }
    Mistake {
        cause: "route fd00::/126 dev eth1 in table main",
        policy: Some(CONTROL_PLANE),
        asks: true,
        make,
        remedies: vec![
            operator(
                "give fd00::/126 no other route than the one via fab0 (`ip -6 route del fd00::/126 nhid 7 metric 1024`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 v6-policy-route-behind",
            "udp --to [fd00::2]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}

/// The kernel takes any of a group of next-hop objects, whatever the socket is bound to (`fib6_select_path`): here mostly the first.
#[test]
fn a_route_by_a_group_of_next_hop_objects_is_corrected() {
    fn make(bench: &Bench) {
        bench.run("ip", "nexthop add id 7 via 2001:db8::2 dev eth1");
        bench.run("ip", "nexthop add id 8 via fd00::2 dev fab0");
        bench.run("ip", "nexthop add id 9 group 7,250/8,1");
        bench.run("ip", "-6 route add fd09::/32 nhid 9");
        peer_has(bench, "fd09::7/128");
    }
    Mistake {
        cause: "=route fd09::/32 via 2001:db8::2 dev eth1 in table main, one of its 2 next hops",
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "give fd09::/32 a route via fab0 (`ip -6 route replace fd09::/32 via fd00::2 dev fab0`)",
            Then::Peer,
        )],
        ..Mistake::of(
            "device-escape",
            "30 v6-next-hop-group",
            "udp --bind-device fab0 --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}

/// A more specific route leads away from the backplane's own network.
#[test]
fn a_route_is_corrected() {
    Mistake {
        cause: "route fd00::/126 via 2001:db8::2 dev eth1 in table main",
        policy: Some(CONTROL_PLANE),
        make: |bench| bench.run("ip", "-6 route add fd00::/126 via 2001:db8::2 dev eth1"),
        remedies: vec![
            operator(
                "give fd00::/126 a route via fab0 (`ip -6 route replace fd00::/126 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 v6-policy-route",
            "udp --to [fd00::2]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A rule of NAT gives what is forwarded the wrong address.
#[test]
fn what_is_forwarded_is_translated_to_the_right_address() {
    fn make(bench: &Bench) {
        bench.let_forward();
        bench.run("nft", "add table ip6 lab");
        bench.run(
            "nft",
            "add chain ip6 lab out { type nat hook postrouting priority 100 ; }",
        );
        bench.run("nft", "add rule ip6 lab out oifname eth1 snat to fd00::1");
    }
    Mistake {
        cause: "forwarded from fab0, its source fd00::2 translated (NAT); route ::/0 via 2001:db8::2 dev eth1",
        make,
        from: From::Peer,
        remedies: vec![operator(
            "translate the source fd00::2 to an address of eth1",
            Then::Outside,
        )],
        ..Mistake::of(
            "address-escape",
            "30 v6-snat-forwarded",
            "udp --to [2001:db8:f::9]:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A route is for some sources alone: one for all, in its place, would leave the packet to it.
#[test]
fn a_route_for_some_sources_is_replaced_by_one_for_the_same() {
    fn make(bench: &Bench) {
        bench.run("ip", "-6 route add fd09::/32 via fd00::2 dev fab0");
        bench.run(
            "ip",
            "-6 route add fd09::/48 from 2001:db8::/64 via 2001:db8::2 dev eth1",
        );
        peer_has(bench, "fd09::7/128");
    }
    Mistake {
        cause: "=route fd09::/48 from 2001:db8::/64 via 2001:db8::2 dev eth1 in table main",
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "give fd09::/48 a route via fab0, and translate the source 2001:db8::1 there to an address of fab0 (`ip -6 route replace \
             fd09::/48 from 2001:db8::/64 via fd00::2 dev fab0; nft ",
            Then::Peer,
        )],
        ..Mistake::of(
            "policy-escape",
            "30 v6-source-route",
            "udp --bind 2001:db8::1 --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed();
}
