//! Remedies of `address-escape` where netfilter has marked the packet, or translated its addresses.

use super::{
    addresses::escape,
    both::{BIND, RUN, WORLD, by_router},
    peer_has,
};
use crate::bench::Bench;
use crate::bench::carry::{From, Mistake, Then, developer, operator};

/// A chain `out` of nftables in a table `lab`, at this hook.
fn chain(bench: &Bench, hook: &str) {
    bench.run("nft", "add table ip lab");
    let chain = format!("add chain ip lab out {{ type {hook} ; }}");
    bench.run("nft", &chain);
}

/// The way to the world is by fab0, and in table 7 by eth1.
fn marked_leave(bench: &Bench) {
    bench.run("ip", "route del default");
    bench.run("ip", "route add default via 10.0.0.2 dev fab0");
    bench.run("ip", "route add default via 192.0.2.2 dev eth1 table 7");
}

/// A rule of nftables marks what goes to the world, when it has its source already.
#[test]
fn a_mark_of_nftables_is_named() {
    fn make(bench: &Bench) {
        marked_leave(bench);
        bench.run("ip", "rule add pref 100 fwmark 7 lookup 7");
        chain(bench, "route hook output priority -150");
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 203.0.113.0/24 meta mark set 7",
        );
        // None of these has marked it: it is of another protocol, is sent to another port or network, is of IPv4, and is not taken in.
        for rule in [
            "tcp dport 7009",
            "udp dport 7010",
            "ip daddr 198.51.0.0/16",
            "meta skuid 4242",
        ] {
            bench.run(
                "nft",
                &format!("add rule ip lab out {rule} meta mark set 7"),
            );
        }
        for (table, hook) in [("ip6", "route hook output"), ("ip", "filter hook input")] {
            let chain = format!("{table} innocent other");
            bench.run("nft", &format!("add table {table} innocent"));
            bench.run(
                "nft",
                &format!("add chain {chain} {{ type {hook} priority 0 ; }}"),
            );
            bench.run("nft", &format!("add rule {chain} meta mark set 7"));
        }
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "the kernel chose the source 10.0.0.1 for another route, before the packet was marked or translated; mark 0x7, which \
                nft rule ip lab out handle ",
        make,
        remedies: vec![
            operator("delete nft rule ip lab out handle ", Then::Peer),
            operator("translate the source 10.0.0.1", Then::Outside),
            operator("give 203.0.113.9 a route via fab0 in table 7", Then::Peer),
            operator("keep 203.0.113.9 out of rule 100 (fwmark 0x7)", Then::Peer),
        ],
        ..escape("30 mark", "udp --to 203.0.113.9:7009 --count 10")
    }
    .is_fixed();
}

/// The same rule sets some bits of the mark, and the rule of routing asks for those.
#[test]
fn a_rule_that_sets_some_bits_of_a_mark_is_named() {
    fn make(bench: &Bench) {
        marked_leave(bench);
        bench.run("ip", "rule add pref 100 fwmark 0x7/0xff lookup 7");
        chain(bench, "route hook output priority -150");
        // One that sets other bits has not set this mark.
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 203.0.113.0/24 meta mark set meta mark and 0xffff00ff or 0x500",
        );
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 198.51.100.0/24 meta mark set meta mark and 0xffff00ff or 0x600",
        );
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 203.0.113.0/24 meta mark set meta mark and 0xffffff00 or 0x7",
        );
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "mark 0x507, which nft rule ip lab out handle 2 or nft rule ip lab out handle 4 may have set",
        make,
        remedies: vec![
            operator("translate the source 10.0.0.1", Then::Outside),
            operator("give 203.0.113.9 a route via fab0 in table 7", Then::Peer),
            operator("keep 203.0.113.9 out of rule 100 (fwmark 0x7/0xff)", Then::Peer),
        ],
        ..escape("30 mark-bits", "udp --to 203.0.113.9:7009 --count 10")
    }
    .is_fixed();
}

/// A service's address is translated to one that another link leads to.
#[test]
fn a_translated_destination_gets_a_source_of_its_way() {
    fn make(bench: &Bench) {
        bench.run("ip", "route add 10.96.0.0/16 via 10.0.0.2 dev fab0");
        chain(bench, "nat hook output priority -100");
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 10.96.0.1 dnat to 203.0.113.9",
        );
    }
    Mistake {
        cause: "its destination 10.96.0.1 was translated (NAT); the kernel chose the source 10.0.0.1 for another route, before the \
                packet was marked or translated; route 0.0.0.0/0 via 192.0.2.2 dev eth1",
        make,
        remedies: vec![
            operator("translate the source 10.0.0.1", Then::Outside),
            operator("give 10.96.0.1 a route via eth1", Then::Outside),
        ],
        ..escape("30 dnat", "udp --to 10.96.0.1:7009 --count 10")
    }
    .is_fixed();
}

/// A rule of NAT gives what the card itself sends the wrong address.
#[test]
fn a_translated_source_is_translated_again() {
    fn make(bench: &Bench) {
        chain(bench, "nat hook postrouting priority 100");
        bench.run("nft", "add rule ip lab out oifname eth1 snat to 10.0.0.1");
    }
    Mistake {
        cause: "its source 192.0.2.1 was translated (NAT); route 0.0.0.0/0 via 192.0.2.2 dev eth1",
        make,
        remedies: vec![operator(
            "translate the source 192.0.2.1 to an address of eth1",
            Then::Outside,
        )],
        ..escape("30 snat", "udp --to 203.0.113.9:7009 --count 10")
    }
    .is_fixed();
}

/// The same of what it forwards.
#[test]
fn what_is_forwarded_is_translated_to_the_right_address() {
    fn make(bench: &Bench) {
        bench.let_forward();
        chain(bench, "nat hook postrouting priority 100");
        bench.run("nft", "add rule ip lab out oifname eth1 snat to 10.0.0.1");
    }
    Mistake {
        cause: "forwarded from fab0, its source 10.0.0.2 translated (NAT); route 0.0.0.0/0 via 192.0.2.2 dev eth1",
        make,
        from: From::Peer,
        remedies: vec![operator(
            "translate the source 10.0.0.2 to an address of eth1",
            Then::Outside,
        )],
        ..escape("30 snat-forwarded", "udp --to 203.0.113.9:7009 --count 10")
    }
    .is_fixed();
}

/// What is forwarded has no program that could have marked it. A route leads it home: it need not be dropped.
#[test]
fn what_is_forwarded_and_marked_is_led_home() {
    fn make(bench: &Bench) {
        bench.let_forward();
        marked_leave(bench);
        bench.run("ip", "rule add pref 100 fwmark 0x20 lookup 7");
        chain(bench, "filter hook prerouting priority -150");
        bench.run("nft", "add rule ip lab out iifname fab0 meta mark set 0x20");
    }
    Mistake {
        cause: "forwarded from fab0; mark 0x20, which nft rule ip lab out handle 2 may have set; rule 100 (fwmark 0x20) sent it to table 7",
        policy: Some(WORLD),
        make,
        from: From::Peer,
        remedies: vec![
            operator(
                "give 203.0.113.0/24 a route via fab0 in table 7 (`ip route replace 203.0.113.0/24 via 10.0.0.2 dev fab0 table 7`)",
                Then::By("fab0"),
            ),
            operator(
                "keep 203.0.113.0/24 out of rule 100 (fwmark 0x20) (`ip rule add pref 99 to 203.0.113.0/24 lookup main`)",
                Then::By("fab0"),
            ),
            operator(
                "drop it in the forward chain when it would leave via eth1 (`nft ",
                Then::Nowhere,
            ),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 mark-forwarded",
            "udp --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A service's address is translated to a neighbour's on fab0, after the kernel chose eth1's address for it.
#[test]
fn a_translated_destination_on_the_link_needs_no_router() {
    fn make(bench: &Bench) {
        chain(bench, "nat hook output priority -100");
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 203.0.113.77 dnat to 10.0.0.2",
        );
    }
    Mistake {
        cause: "its destination 203.0.113.77 was translated (NAT)",
        make,
        remedies: vec![
            operator("translate the source 192.0.2.1", Then::Peer),
            operator(
                "give 203.0.113.77 a route via fab0 (`ip route replace 203.0.113.77 dev fab0`)",
                Then::Peer,
            ),
        ],
        ..escape("30 dnat-near", "udp --to 203.0.113.77:7009 --count 10")
    }
    .is_fixed();
}

/// The same where a rule keeps the destination that NAT gives it: a route alone would take eth1's address along.
#[test]
fn a_translated_destination_that_a_rule_keeps_is_led_home_with_an_address_of_there() {
    fn make(bench: &Bench) {
        by_router(bench);
        chain(bench, "nat hook output priority -100");
        bench.run(
            "nft",
            "add rule ip lab out ip daddr 198.51.100.5 dnat to 203.0.113.9",
        );
    }
    Mistake {
        cause: "its destination 198.51.100.5 was translated (NAT)",
        policy: Some(WORLD),
        make,
        remedies: vec![
            operator(
                "give 203.0.113.0/24 a route via fab0, and translate the source 192.0.2.1",
                Then::Peer,
            ),
            operator(RUN, Then::Peer),
            developer(BIND, Then::Peer),
        ],
        ..Mistake::of(
            "policy-escape",
            "30 dnat-and-rule",
            "udp --to 198.51.100.5:7009 --count 10",
        )
    }
    .is_fixed();
}
