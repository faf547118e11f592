//! Every remedy is carried out, to the letter, as pinif printed it: the finding is gone then, no other comes, and the traffic arrives where
//! it can. Case 30 of docs/developers/scenarios.md.

mod addresses;
mod any_source;
mod arp_flux;
mod arrivals;
mod both;
mod devices;
mod encapsulation;
mod everywhere;
mod groups;
mod ipv6;
mod kernel;
mod link_local;
mod link_types;
mod links;
mod many;
mod multipath;
mod named;
mod netfilter;
mod policies;
mod replies;
mod rules;
mod units;

use crate::bench::Bench;

/// Table 100, for what this rule of IPv4 takes, leads outside.
fn misled(bench: &Bench, rule: &str) {
    bench.run("ip", "route add default via 192.0.2.2 dev eth1 table 100");
    bench.run("ip", &format!("rule add {rule} lookup 100"));
}

/// The peer has another address, which nothing says to the card.
fn peer_has(bench: &Bench, address: &str) {
    let peer = &bench.chassis.peer;
    peer.add_address("lo", address.parse().expect("an address"))
        .expect("lo");
}

/// What goes to the world stays on the backplane, whose router leads there.
const WORLD: &str = "[zone.backplane]\ninterfaces = [\"fab*\"]\n[[rule]]\nname = \"world\"\ndestination = \
                     [\"203.0.113.0/24\"]\nonly_via = [\"backplane\"]\n";

/// But for one of it.
fn misled_world(bench: &Bench) {
    bench.run("ip", "route add 203.0.113.0/28 via 10.0.0.2");
    bench.run("ip", "route add 203.0.113.9 via 192.0.2.2");
}
