//! The remedies of what a route encapsulates: what leaves is the outer packet, with an address of the route's own interface.

use super::peer_has;
use crate::bench::carry::{Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE, CONTROL_PLANE_PINNED, Need};

/// Segment routing, and routes that encapsulate (`CONFIG_IPV6_SEG6_LWTUNNEL`).
const NEEDS: &[Need] = &[Need::File("/proc/sys/net/ipv6/seg6_flowlabel")];

const SENDS: &str = "udp --to [fd09::7]:7009 --count 10";
const BOUND: &str = "udp --bind-device fab0 --to [fd09::7]:7009 --count 10";

/// A mistake of a route that encapsulates, against the policy of the control plane.
fn of_route(kind: &'static str, name: &'static str, sends: &'static str) -> Mistake {
    Mistake {
        needs: NEEDS,
        policy: Some(CONTROL_PLANE),
        ..Mistake::of(kind, name, sends)
    }
}

/// The peer takes out what is for it.
fn peer_decapsulates(bench: &Bench) {
    let peer = &bench.chassis.peer;
    for setting in ["ipv6/conf/all/seg6_enabled", "ipv6/conf/fab0/seg6_enabled"] {
        peer.set_sysctl(setting, "1").expect("IPv6 is there");
    }
    peer_has(bench, "fd09::7/128");
}

/// The first segment is led out by the front, and a route encapsulates to it.
fn led_out(bench: &Bench, mode: &str, by: &str) {
    peer_decapsulates(bench);
    bench.run("ip", "-6 route add fd00::/126 via 2001:db8::2 dev eth1");
    let route = format!("-6 route add fd09::/32 encap seg6 mode {mode} segs fd00::2 dev {by}");
    bench.run("ip", &route);
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
            "route add 10.9.0.0/16 encap seg6 mode encap segs fd00::2,fd00::3 dev eth1",
        );
    }
    Mistake {
        cause: "=encapsulated by route fd09::/32 encap seg6 mode encap segs fd00::2 dev eth1 in table main, which gives it an address of \
                eth1; route fd00::/64 dev fab0 in table main",
        make,
        remedies: vec![operator(
            "let the route fd09::/32 encapsulate by fab0, an address of which its outer packets have then (`ip -6 route replace fd09::/32 \
             encap seg6 mode encap segs fd00::2 dev fab0 table 254 metric 1024 mtu 1400`)",
            Then::Peer,
        )],
        ..of_route(
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
    Mistake {
        cause: "; route fd00::/126 via 2001:db8::2 dev eth1 in table main",
        make: |bench| led_out(bench, "encap", "eth1"),
        remedies: vec![operator(
            "give fd00::/126 a route via fab0, and let the route fd09::/32 encapsulate by fab0, an address of which its outer packets have \
             then (`ip -6 route replace fd00::/126 dev fab0; ip -6 route replace fd09::/32 encap seg6 mode encap segs fd00::2 dev fab0 \
             table 254 metric 1024`)",
            Then::Peer,
        )],
        ..of_route(
            "policy-escape",
            "30 policy-encapsulated",
            SENDS,
        )
    }
    .is_fixed_by_each();
}

/// What is inside is the rule's, and leaves inside of what goes to the front: by a route of the front, or by one of the backplane.
#[test]
fn what_is_encapsulated_is_kept_in_by_a_rule() {
    Mistake {
        cause: "=route fd09::7/128 encap seg6 mode encap segs 2001:db8::2 dev eth1 in table main",
        make: |bench| {
            peer_has(bench, "fd09::7/128");
            bench.run("ip", "-6 route add fd09::/16 via fd00::2");
            bench.run(
                "ip",
                "-6 route add fd09::7/128 encap seg6 mode encap segs 2001:db8::2 dev eth1",
            );
        },
        remedies: vec![
            operator(
                "give fd09::7 a route via fab0 (`ip -6 route replace fd09::7 via fd00::2 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..of_route("policy-escape", "30 policy-encapsulated-out", SENDS)
    }
    .is_fixed_by_each();
    Mistake {
        cause: "=encapsulated by route 10.9.0.0/16 encap seg6 mode encap segs 2001:db8::2 dev fab0 in table main, which gives it an address \
                of fab0",
        make: |bench| {
            bench.run(
                "ip",
                "route add 10.9.0.0/16 encap seg6 mode encap segs 2001:db8::2 dev fab0",
            );
        },
        remedies: vec![operator(
            "decide where 10.9.0.9 belongs: the route 10.9.0.0/16 encapsulates what goes there, and the outer packets leave via eth1; lead \
             these via fab0, or let the route not encapsulate, or let rule control-plane allow eth1",
            Then::Words,
        )],
        ..of_route(
            "policy-escape",
            "30 policy-encapsulated-home",
            "udp --to 10.9.0.9:7009 --count 10",
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
        make,
        remedies: vec![operator(
            "give all that is encapsulated the source fd00::1, an address of fab0 (`ip sr tunsrc set fd00::1`)",
            Then::Peer,
        )],
        ..of_route(
            "address-escape",
            "30 encapsulated-set",
            SENDS,
        )
    }
    .is_fixed_by_each();
}

/// The socket is bound to the backplane; what the route makes of its packets is routed by the first segment alone, which a route leads elsewhere.
#[test]
fn what_a_route_encapsulates_follows_no_bound_device() {
    Mistake {
        cause: "=encapsulated by route fd09::/32 encap seg6 mode encap segs fd00::2 dev fab0 in table main, which gives it an address of \
                fab0; route fd00::/126 via 2001:db8::2 dev eth1 in table main",
        make: |bench| led_out(bench, "encap", "fab0"),
        remedies: vec![operator(
            "give fd00::/126 a route via fab0 (`ip -6 route replace fd00::/126 dev fab0`)",
            Then::Peer,
        )],
        ..of_route("device-escape", "30 device-encapsulated", BOUND)
    }
    .is_fixed_by_each();
}

/// The same of a header that the route puts into them.
#[test]
fn what_a_header_leads_follows_no_bound_device() {
    Mistake {
        cause: "=led to its first segment by route fd09::/32 encap seg6 mode inline segs fd00::2 dev fab0 in table main; route fd00::/126 \
                via 2001:db8::2 dev eth1 in table main",
        make: |bench| led_out(bench, "inline", "fab0"),
        remedies: vec![operator(
            "give fd00::/126 a route via fab0 (`ip -6 route replace fd00::/126 dev fab0`)",
            Then::Peer,
        )],
        ..of_route("device-escape", "30 device-inline", BOUND)
    }
    .is_fixed_by_each();
}

/// Its source is of the route's interface, and stays.
#[test]
fn what_a_header_leads_gets_a_source_of_where_it_leaves() {
    fn make(bench: &Bench) {
        peer_decapsulates(bench);
        bench.run(
            "ip",
            "-6 route add fd09::/32 encap seg6 mode inline segs fd00::2 dev eth1",
        );
    }
    Mistake {
        cause: "most likely led to its first segment by route fd09::/32 encap seg6 mode inline segs fd00::2 dev eth1 in table main",
        make,
        remedies: vec![operator(
            "let the route fd09::/32 lead by fab0, an address of which its packets have then (`ip -6 route replace fd09::/32 encap seg6 \
             mode inline segs fd00::2 dev fab0 table 254 metric 1024`)",
            Then::Peer,
        )],
        ..of_route("address-escape", "30 inline", SENDS)
    }
    .is_fixed_by_each();
    Mistake {
        cause: "most likely led to its first segment by route fd09::/32",
        make,
        remedies: vec![developer(
            "let the program send from fd00::1, fab0's address (bind(), ",
            Then::Peer,
        )],
        ..of_route(
            "address-escape",
            "30 inline-bound",
            "udp --bind 2001:db8::1 --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}

/// The rule says where it goes, which needs a route for the first segment, and a source of there.
#[test]
fn what_a_header_leads_is_led_home_with_an_address_of_home() {
    Mistake {
        cause: "most likely led to its first segment by route fd09::/32",
        make: |bench| led_out(bench, "inline", "eth1"),
        remedies: vec![operator(
            "give fd00::/126 a route via fab0, and let the route fd09::/32 lead by fab0, an address of which its packets have then (`ip -6 \
             route replace fd00::/126 dev fab0; ip -6 route replace fd09::/32 encap seg6 mode inline segs fd00::2 dev fab0 table 254 metric \
             1024`)",
            Then::Peer,
        )],
        ..of_route("policy-escape", "30 policy-inline", SENDS)
    }
    .is_fixed_by_each();
    // NAT changes nothing of it.
    Mistake {
        cause: "most likely led to its first segment by route fd09::/32",
        make: |bench| led_out(bench, "inline", "eth1"),
        remedies: vec![developer(
            "give fd00::/126 a route via fab0, and let the program send from fd00::1, fab0's address (bind(), ",
            Then::Peer,
        )],
        ..of_route(
            "policy-escape",
            "30 policy-inline-bound",
            "udp --bind 2001:db8::1 --to [fd09::7]:7009 --count 10",
        )
    }
    .is_fixed_by_each();
}

/// A bound socket follows no route by another interface to what encapsulates.
#[test]
fn what_is_encapsulated_is_bound_where_its_routes_lead() {
    Mistake {
        cause: "encapsulated by route fd09::/32",
        policy: Some(CONTROL_PLANE_PINNED),
        make: |bench| {
            peer_decapsulates(bench);
            bench.run(
                "ip",
                "-6 route add fd09::/32 encap seg6 mode encap segs fd00::2 dev fab0",
            );
        },
        remedies: vec![
            operator(
                "start the program by pinif run (`pinif run --interface fab0 -- COMMAND`)",
                Then::Peer,
            ),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..of_route("unpinned", "30 unpinned-encapsulated", SENDS)
    }
    .is_fixed_by_each();
    Mistake {
        cause: "encapsulated by route fd09::/32",
        policy: Some(CONTROL_PLANE_PINNED),
        make: |bench| led_out(bench, "encap", "eth1"),
        remedies: vec![operator(
            "give fd00::/126 a route via fab0, and let the route fd09::/32 encapsulate by fab0, an address of which its outer packets have \
             then, and start the program by pinif run (`ip -6 route replace fd00::/126 dev fab0; ip -6 route replace fd09::/32 encap seg6 \
             mode encap segs fd00::2 dev fab0 table 254 metric 1024; pinif run --interface fab0 -- COMMAND`)",
            Then::Peer,
        )],
        ..of_route("policy-escape", "30 policy-unpinned-encapsulated", SENDS)
    }
    .is_fixed_by_each();
}

/// The encapsulation is that of a next-hop object, which other routes may have as well: nothing but words.
#[test]
fn a_next_hop_object_encapsulates() {
    Mistake {
        cause: "encapsulated by route fd09::/32 encap seg6 mode encap segs fd00::2 dev eth1",
        make: |bench| {
            bench.run(
                "ip",
                "-6 nexthop add id 7 encap seg6 mode encap segs fd00::2 dev eth1",
            );
            bench.run("ip", "-6 route add fd09::/32 nhid 7");
        },
        remedies: vec![operator(
            "let the route fd09::/32 encapsulate by fab0, an address of which its outer packets have then",
            Then::Words,
        )],
        ..of_route("address-escape", "30 encapsulated-object", SENDS)
    }
    .is_fixed_by_each();
}
