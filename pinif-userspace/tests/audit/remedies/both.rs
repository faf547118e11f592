//! Remedies where two things are demanded of a packet: an address and an interface, or an interface and a bound device. One that gives only
//! one of them would leave the other.

use super::addresses::escape;
use super::peer_has;
use crate::bench::carry::{Mistake, Then, developer, operator};
use crate::bench::{Bench, CONTROL_PLANE_PINNED};

/// What goes to the world stays on the backplane.
pub const WORLD: &str = r#"
[zone.backplane]
interfaces = ["fab*"]
contained = true

[[rule]]
name = "world"
destination = ["203.0.113.0/24"]
only_via = ["backplane"]
"#;

/// What goes to the world leaves by the front, by sockets that are bound.
const FRONT_PINNED: &str = r#"
[zone.front]
interfaces = ["eth*"]

[[rule]]
name = "world"
destination = ["203.0.113.0/24"]
only_via = ["front"]
pinned = true
"#;

pub const RUN: &str = "start the program by pinif run (`pinif run --interface fab0 -- COMMAND`)";
pub const BIND: &str = "bind the socket to fab0 with SO_BINDTODEVICE";

/// fab0's router leads to the world as well, where nothing else does.
pub fn by_router(bench: &Bench) {
    bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 9");
    peer_has(bench, "203.0.113.9/32");
}

/// Another address would let it leave there all the same, where a rule says that it must not.
#[test]
fn an_address_that_a_rule_keeps_is_not_exchanged() {
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(WORLD),
        remedies: vec![operator(
            "decide where 203.0.113.9 belongs: no route leads there via fab0, so that a socket bound there would wait for a neighbour \
             that does not answer; give it a router there",
            Then::Words,
        )],
        ..escape(
            "30 address-and-rule",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn an_address_that_a_rule_keeps_is_led_home() {
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(WORLD),
        make: by_router,
        remedies: vec![
            operator(
                "give 203.0.113.0/24 a route via fab0 (`ip route replace 203.0.113.0/24 via 10.0.0.2 dev fab0`)",
                Then::Peer,
            ),
            operator(RUN, Then::Peer),
            developer(BIND, Then::Peer),
        ],
        ..escape(
            "30 address-and-rule-router",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A route would lead it home, and leave the socket bound to nothing.
#[test]
fn what_must_be_pinned_wants_more_than_a_route() {
    Mistake {
        cause: "route 10.0.0.0/30 via 192.0.2.2 dev eth1 in table main",
        policy: Some(CONTROL_PLANE_PINNED),
        make: |bench| bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1"),
        remedies: vec![operator(RUN, Then::Peer), developer(BIND, Then::Peer)],
        ..Mistake::of(
            "policy-escape",
            "30 policy-and-pin",
            "udp --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// Bound to fab0 with an address of eth1, it would be a `crossed-bind`.
#[test]
fn what_must_be_pinned_gets_an_address_of_its_device() {
    Mistake {
        cause: "rule 100 (from 192.0.2.1) sent it to table 100",
        policy: Some(CONTROL_PLANE_PINNED),
        make: |bench| super::misled(bench, "pref 100 from 192.0.2.1"),
        remedies: vec![developer(
            "bind the socket to fab0 with SO_BINDTODEVICE, and let it send from 10.0.0.1, fab0's address",
            Then::Peer,
        )],
        ..Mistake::of(
            "policy-escape",
            "30 pin-and-address",
            "udp --bind 192.0.2.1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// It left where it may, from the wrong address, by a socket that is bound to nothing.
#[test]
fn an_address_and_a_device_are_given_together() {
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(FRONT_PINNED),
        remedies: vec![developer(
            "bind the socket to eth1 with SO_BINDTODEVICE, and let it send from 192.0.2.1, eth1's address",
            Then::Outside,
        )],
        ..escape(
            "30 address-and-pin",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// An address where a device's name is wanted, as `curl --interface ADDRESS` takes it: by its name, fab0 would reach nothing.
#[test]
fn a_device_that_reaches_nothing_is_not_named() {
    Mistake {
        cause: "the program was given the address 10.0.0.1 for an interface, and bound the socket to that alone; route 0.0.0.0/0 via \
                192.0.2.2 dev eth1 in table main",
        remedies: vec![
            operator("translate the source 10.0.0.1", Then::Outside),
            developer(
                "let the program send from 192.0.2.1, eth1's address, or from none",
                Then::Outside,
            ),
        ],
        ..escape(
            "30 address-for-device",
            "udp --bind-device 10.0.0.1 --ignore-bind-error --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// fab0's own neighbour: it left where it should, whatever router eth1 has.
#[test]
fn a_neighbour_is_not_sent_by_another_links_router() {
    Mistake {
        cause: "route 10.0.0.0/24 dev fab0 src 10.0.0.1 in table main",
        remedies: vec![
            operator(
                "translate the source 192.0.2.1 to an address of fab0",
                Then::Peer,
            ),
            developer(
                "let the program send from 10.0.0.1, fab0's address, or from none",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 bind-near",
            "udp --bind 192.0.2.1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

const DECIDE: &str = "decide where 203.0.113.9 belongs: no route leads there via fab0, so that a socket bound there would wait for a neighbour \
                      that does not answer; give it a router there, or let rule world allow eth1";

/// Bound to fab0 instead, it would wait for a neighbour that does not answer.
#[test]
fn a_socket_is_bound_to_no_device_that_reaches_nothing() {
    Mistake {
        cause: "the process bound the socket to eth1",
        policy: Some(WORLD),
        remedies: vec![operator(DECIDE, Then::Words)],
        ..Mistake::of(
            "policy-escape",
            "30 bound-beyond",
            "udp --bind-device eth1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn a_socket_stays_bound_to_no_device_that_reaches_nothing() {
    Mistake {
        cause: "socket was unbound from fab0; route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(WORLD),
        packets: Some(6),
        remedies: vec![operator(DECIDE, Then::Words)],
        ..Mistake::of(
            "policy-escape",
            "30 unbound-beyond",
            "udp --bind-device fab0 --unbind-after 4 --ignore-bind-error --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

#[test]
fn a_packet_is_not_left_to_a_device_that_reaches_nothing() {
    Mistake {
        cause: "IP_PKTINFO override",
        remedies: vec![
            operator("start the program by pinif run", Then::Nowhere),
            operator(
                "decide where 203.0.113.9 belongs: no route leads there via fab0",
                Then::Words,
            ),
        ],
        ..Mistake::of(
            "device-escape",
            "30 pktinfo-beyond",
            "udp --bind-device fab0 --pktinfo eth1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}
