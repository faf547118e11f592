//! Remedies of `address-escape`: a packet had an address of fab0 alone, and left by eth1.

use super::{misled, peer_has};
use crate::bench::carry::{Mistake, Then, developer, operator};
use crate::bench::{Bench, Need, scenario};
use pinif_userspace::findings::explain::Who;

/// Its finding, of what a program on the card sends.
pub(super) fn escape(name: &'static str, sends: &'static str) -> Mistake {
    Mistake::of("address-escape", name, sends)
}

/// Nothing reaches the world by fab0: binding there would wait for a neighbour that does not answer.
#[test]
fn an_address_of_another_interface_is_not_used() {
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        remedies: vec![
            operator(
                "translate the source 10.0.0.1 to an address of eth1 where it leaves by that",
                Then::Outside,
            ),
            developer(
                "let the program send from 192.0.2.1, eth1's address, or from none",
                Then::Outside,
            ),
        ],
        ..escape(
            "30 bind-beyond",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A second default route is by fab0's router.
#[test]
fn a_router_of_the_right_link_is_used() {
    fn make(bench: &Bench) {
        bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 9");
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        make,
        remedies: vec![
            operator(
                "give 203.0.113.9 a route via fab0 (`ip route replace 203.0.113.9 via 10.0.0.2 dev fab0`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            operator("translate the source 10.0.0.1", Then::Outside),
            developer("let the program send from 192.0.2.1", Then::Outside),
            developer(
                "bind the socket to fab0 with SO_BINDTODEVICE",
                Then::Peer,
            ),
        ],
        ..escape(
            "30 bind-router",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The router has no address of the link's networks (`onlink`), as those of many clouds: nor has it for the new route.
#[test]
fn a_router_that_is_on_the_link_by_declaration_is_used() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "route add default via 10.99.0.1 dev fab0 onlink metric 9",
        );
        bench.knows("fab0", "10.99.0.1");
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        make,
        remedies: vec![
            operator(
                "give 203.0.113.9 a route via fab0 (`ip route replace 203.0.113.9 via 10.99.0.1 dev fab0 onlink`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            operator("translate the source 10.0.0.1", Then::Outside),
            developer("let the program send from 192.0.2.1", Then::Outside),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..escape(
            "30 router-onlink",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A neighbour on eth1's own link: a route by fab0 would lead nowhere.
#[test]
fn a_neighbour_of_the_other_link_needs_no_route() {
    Mistake {
        cause: "route 192.0.2.0/24 dev eth1 src 192.0.2.1 in table main",
        remedies: vec![
            operator("translate the source 10.0.0.1", Then::Outside),
            developer("let the program send from 192.0.2.1", Then::Outside),
        ],
        ..escape(
            "30 bind-neighbour",
            "udp --bind 10.0.0.1 --to 192.0.2.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The rule sends what is the backplane's own neighbour outside.
#[test]
fn a_rule_by_source_is_corrected() {
    fn make(bench: &Bench) {
        misled(bench, "pref 100 from 10.0.0.1");
    }
    Mistake {
        cause: "rule 100 (from 10.0.0.1) sent it to table 100, whose default route via 192.0.2.2 leaves via eth1",
        make,
        remedies: vec![
            operator(
                "give 10.0.0.2 a route via fab0 in table 100 (`ip route replace 10.0.0.2 dev fab0 table 100`)",
                Then::Peer,
            ),
            operator(
                "keep 10.0.0.2 out of rule 100 (from 10.0.0.1) (`ip rule add pref 99 to 10.0.0.2 lookup main`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            operator("translate the source 10.0.0.1", Then::Outside),
            developer("let the program send from no address of its own", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape(
            "30 rule-by-source",
            "udp --bind 10.0.0.1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The way home is in a table of its own.
#[test]
fn what_is_kept_out_of_a_rule_goes_to_the_table_that_has_the_route() {
    fn make(bench: &Bench) {
        misled(bench, "pref 100 from 10.0.0.1");
        bench.run(
            "ip",
            "route add 203.0.113.0/24 via 10.0.0.2 dev fab0 table 50",
        );
        bench.run("ip", "rule add pref 200 lookup 50");
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "rule 100 (from 10.0.0.1) sent it to table 100",
        make,
        remedies: vec![
            operator("give 203.0.113.9 a route via fab0 in table 100", Then::Peer),
            operator(
                "keep 203.0.113.9 out of rule 100 (from 10.0.0.1) (`ip rule add pref 99 to 203.0.113.9 lookup 50`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            operator("translate the source 10.0.0.1", Then::Outside),
            developer("let the program send from no address of its own", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape(
            "30 rule-other-table",
            "udp --bind 10.0.0.1 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A raw socket's `bind()` is seen by no hook: the address is the packet's own.
#[test]
fn a_rule_by_source_is_named_where_no_hook_saw_the_address() {
    fn make(bench: &Bench) {
        bench.run("ip", "route add default via 192.0.2.2 dev eth1 table 7");
        bench.run("ip", "rule add pref 100 from 10.0.0.1 lookup 7");
    }
    Mistake {
        cause: "rule 100 (from 10.0.0.1) sent it to table 7, whose default route via 192.0.2.2 leaves via eth1",
        make,
        remedies: vec![
            operator("translate the source 10.0.0.1", Then::Nowhere),
            developer("let the program send from 192.0.2.1", Then::Nowhere),
        ],
        ..escape(
            "30 rule-by-source-raw",
            "raw --bind 10.0.0.1 --to 203.0.113.9 --count 10",
        )
    }
    .is_fixed();
}

/// An unnumbered link: the kernel took fab0's address.
#[test]
fn a_link_without_an_address_gets_one() {
    fn make(bench: &Bench) {
        let card = bench.card();
        for address in ["192.0.2.1/24", "2001:db8::1/64"] {
            let address = address.parse().expect("an address");
            card.delete_address("eth1", address).expect("it has it");
        }
        bench.run("ip", "route add 203.0.113.9 dev eth1");
        bench.knows("eth1", "203.0.113.9");
    }
    Mistake {
        cause: "eth1 has no address that the packet could have, so the kernel took 10.0.0.1; route 203.0.113.9/32 dev eth1 in table \
                main",
        make,
        remedies: vec![operator(
            "give eth1 an address of its own, or 10.0.0.1 as well (`ip address add 10.0.0.1/32 dev eth1`)",
            Then::Outside,
        )],
        ..escape(
            "30 unnumbered",
            "udp --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The route has the wrong `src`.
#[test]
fn a_route_gives_another_source() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "route add 203.0.113.0/24 via 192.0.2.2 dev eth1 src 10.0.0.1 metric 5 onlink proto 50 mtu lock 1400 initcwnd 20",
        );
    }
    fn is_changed_in_its_source(bench: &Bench) {
        let routes = bench.ask("ip", "-o route show 203.0.113.0/24");
        let is = |source: &str| {
            format!(
                "203.0.113.0/24 via 192.0.2.2 dev eth1 proto 50 src {source} metric 5 onlink mtu lock 1400 initcwnd 20 "
            )
        };
        let routes: Vec<&str> = routes.lines().collect();
        // The other remedy changes no route.
        assert!(
            routes == [is("192.0.2.1").as_str()] || routes == [is("10.0.0.1").as_str()],
            "{routes:?}"
        );
    }
    Mistake {
        cause: "the route gives packets the source 10.0.0.1 (`src`); route 203.0.113.0/24 via 192.0.2.2 dev eth1 src 10.0.0.1 in \
                table main",
        make,
        remedies: vec![
            operator(
                "let the route 203.0.113.0/24 give packets the source 192.0.2.1 (`ip route replace 203.0.113.0/24 via 192.0.2.2 dev \
                 eth1 table 254 metric 5 src 192.0.2.1 proto 50 onlink mtu lock 1400 initcwnd 20`)",
                Then::Outside,
            ),
            operator("give eth1 the address 10.0.0.1 as well", Then::Outside),
        ],
        meanwhile: is_changed_in_its_source,
        ..escape("30 route-src", "udp --to 203.0.113.9:7009 --count 10")
    }
    .is_fixed();
}

/// The backplane is down.
#[test]
fn a_link_that_is_down_comes_up() {
    fn make(bench: &Bench) {
        bench.card().set_down("fab0").expect("fab0 goes down");
    }
    Mistake {
        cause: "link fab0 is down",
        make,
        // The kernel forgets neighbours with the link.
        meanwhile: |bench| bench.knows("fab0", "10.0.0.2"),
        remedies: vec![operator("bring fab0 up", Then::Peer)],
        ..escape(
            "30 link-down",
            "udp --bind 10.0.0.1 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The kernel has removed the route to what is beyond it, and which router it had, nobody knows any more.
#[test]
fn a_route_that_went_with_its_link_is_to_be_given_again() {
    fn make(bench: &Bench) {
        bench.run("ip", "route add 10.9.0.0/16 via 10.0.0.2 dev fab0");
        bench.card().set_down("fab0").expect("fab0 goes down");
    }
    Mistake {
        cause: "=link fab0 is down; route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        policy: Some(crate::bench::CONTROL_PLANE),
        make,
        remedies: vec![operator(
            "bring fab0 up, and give 10.9.0.9 a route via fab0",
            Then::Words,
        )],
        ..Mistake::of(
            "policy-escape",
            "30 link-down-beyond",
            "udp --to 10.9.0.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// A program that pinif knows: its own setting comes first.
#[test]
fn the_setting_of_a_known_program_is_named() {
    scenario("30 ping", &[Need::Program("ping")], |bench| {
        let ping = |address: &str| {
            bench.program("ping", &format!("-c 1 -I {address} 203.0.113.9"));
        };
        let auditor = bench.audit(&[]);
        ping("10.0.0.1");
        let report = auditor.stop();
        let [finding] = &report.findings[..] else {
            panic!("one finding\n{report}");
        };
        let step = finding.remedies.first().expect("a remedy");
        assert_eq!(
            (step.who, step.text.as_str()),
            (Who::Operator, "give ping the source address 192.0.2.1 (-I)")
        );
        let auditor = bench.audit(&[]);
        ping("192.0.2.1");
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "{report}");
        assert_eq!(report.sent_by("eth1").packets, 1, "{report}");
    });
}
