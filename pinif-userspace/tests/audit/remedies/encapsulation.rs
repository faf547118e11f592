//! The remedies of what a route encapsulates: what leaves is the outer packet, with an address of the route's own interface.

use super::peer_has;
use crate::bench::carry::{Mistake, Then, operator};
use crate::bench::{Bench, CONTROL_PLANE, Need};

/// Segment routing, and routes that encapsulate (`CONFIG_IPV6_SEG6_LWTUNNEL`).
const NEEDS: &[Need] = &[Need::File("/proc/sys/net/ipv6/seg6_flowlabel")];

/// The peer takes out what is for it.
fn peer_decapsulates(bench: &Bench) {
    let peer = &bench.chassis.peer;
    for setting in ["ipv6/conf/all/seg6_enabled", "ipv6/conf/fab0/seg6_enabled"] {
        peer.set_sysctl(setting, "1").expect("IPv6 is there");
    }
    peer_has(bench, "fd09::7/128");
}

/// The route has the front's interface, and its first segment is on the backplane. Another one, for IPv4, has the same.
#[test]
fn a_route_encapsulates_by_the_interface_where_its_packets_leave() {
    fn make(bench: &Bench) {
        peer_decapsulates(bench);
        bench.run(
            "ip",
            "-6 route add fd09::/32 encap seg6 mode encap segs fd00::2 dev eth1 mtu 1400",
        );
        bench.run(
            "ip",
            "route add 10.9.0.0/16 encap seg6 mode encap.red segs fd00::2,fd00::3 dev eth1",
        );
    }
    Mistake {
        cause: "=encapsulated by route fd09::/32 encap seg6 mode encap segs fd00::2 dev eth1 in table main, which gives it an address of \
                eth1; route fd00::/64 dev fab0 in table main",
        needs: NEEDS,
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "let the route fd09::/32 encapsulate by fab0, an address of which its outer packets have then (`ip -6 route replace fd09::/32 \
             encap seg6 mode encap segs fd00::2 dev fab0 table 254 metric 1024 mtu 1400`)",
            Then::Peer,
        )],
        ..Mistake::of(
            "address-escape",
            "30 encapsulated",
            "udp --bind fd00::1 --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}

/// The rule says where the outer packet goes, which a route leads elsewhere, with an address of there.
#[test]
fn what_a_route_encapsulates_is_led_home_with_an_address_of_home() {
    fn make(bench: &Bench) {
        peer_decapsulates(bench);
        bench.run("ip", "-6 route add fd00::/126 via 2001:db8::2 dev eth1");
        bench.run(
            "ip",
            "-6 route add fd09::/32 encap seg6 mode encap segs fd00::2 dev eth1",
        );
    }
    Mistake {
        cause: "; route fd00::/126 via 2001:db8::2 dev eth1 in table main",
        needs: NEEDS,
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "give fd00::/126 a route via fab0, and let the route fd09::/32 encapsulate by fab0, an address of which its outer packets have \
             then (`ip -6 route replace fd00::/126 dev fab0; ip -6 route replace fd09::/32 encap seg6 mode encap segs fd00::2 dev fab0 \
             table 254 metric 1024`)",
            Then::Peer,
        )],
        ..Mistake::of(
            "policy-escape",
            "30 policy-encapsulated",
            "udp --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}

/// A setting gives all that is encapsulated an address of the front.
#[test]
fn the_source_that_is_set_for_all_is_one_where_they_leave() {
    fn make(bench: &Bench) {
        peer_decapsulates(bench);
        bench.run("ip", "sr tunsrc set 2001:db8::1");
        bench.run(
            "ip",
            "-6 route add fd09::/32 encap seg6 mode encap segs fd00::2 dev fab0",
        );
    }
    Mistake {
        cause: " dev fab0 in table main, its source set for all (ip sr tunsrc); route fd00::/64 dev fab0 in table main",
        needs: NEEDS,
        policy: Some(CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "give all that is encapsulated the source fd00::1, an address of fab0 (`ip sr tunsrc set fd00::1`)",
            Then::Peer,
        )],
        ..Mistake::of(
            "address-escape",
            "30 encapsulated-set",
            "udp --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}
