//! Remedies where a rule of routing (ip-rule(8)) sent it to another table than the one that leads where it belongs.

use super::{both::WORLD, misled, peer_has, policies::escape};
use crate::bench::Bench;
use crate::bench::carry::{Mistake, Then, developer, operator};

#[test]
fn a_rule_by_mark_is_corrected() {
    Mistake {
        cause: "mark 0x7, which the program set (SO_MARK), or a rule that pinif did not find; rule 100 (fwmark 0x7) sent it to table \
                100, whose default route via 192.0.2.2 leaves via eth1",
        make: |bench| misled(bench, "pref 100 fwmark 7"),
        remedies: vec![
            operator(
                "give 10.0.0.2 a route via fab0 in table 100 (`ip route replace 10.0.0.2 dev fab0 table 100`)",
                Then::Peer,
            ),
            operator(
                "keep 10.0.0.2 out of rule 100 (fwmark 0x7) (`ip rule add pref 99 to 10.0.0.2 lookup main`)",
                Then::Peer,
            ),
            operator(
                "start the program by pinif run (`pinif run --interface fab0 -- COMMAND`)",
                Then::Peer,
            ),
            developer("bind the socket to fab0 with SO_BINDTODEVICE", Then::Peer),
        ],
        ..escape("30 policy-mark", "udp --mark 7 --to 10.0.0.2:7009 --count 10")
    }
    .is_fixed();
}

/// Another rule jumps to it: what is to be asked first comes before that one.
#[test]
fn a_rule_of_ipv6_is_corrected() {
    fn make(bench: &Bench) {
        bench.run(
            "ip",
            "-6 route add default via 2001:db8::2 dev eth1 table 100",
        );
        bench.run("ip", "-6 rule add pref 200 lookup 100");
        bench.run("ip", "-6 rule add pref 100 to fd00::/8 goto 200");
    }
    Mistake {
        cause: "rule 200 (from all) sent it to table 100, whose default route via 2001:db8::2 leaves via eth1",
        make,
        remedies: vec![
            operator(
                "give fd00::2 a route via fab0 in table 100 (`ip -6 route replace fd00::2 dev fab0 table 100`)",
                Then::Peer,
            ),
            operator(
                "keep fd00::2 out of rule 200 (from all) (`ip -6 rule add pref 99 to fd00::2 lookup main`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape("30 policy-v6", "udp --to [fd00::2]:7009 --count 10")
    }
    .is_fixed();
}

/// The kernel is asked with the packet's own type of service.
#[test]
fn a_rule_by_type_of_service_is_named() {
    Mistake {
        cause: "rule 100 (tos 0x10) sent it to table 100",
        make: |bench| misled(bench, "pref 100 tos 0x10"),
        remedies: vec![
            operator("give 10.0.0.2 a route via fab0 in table 100", Then::Peer),
            operator("keep 10.0.0.2 out of rule 100 (tos 0x10)", Then::Peer),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape(
            "30 policy-tos",
            "udp --tos 16 --to 10.0.0.2:7009 --count 10",
        )
    }
    .is_fixed();
}

/// The main table leads there by the same interface, and is not asked for a packet of this type of service.
#[test]
fn a_rule_by_type_of_service_is_named_where_another_route_leads_there_too() {
    fn make(bench: &Bench) {
        misled(bench, "pref 100 tos 0x10");
        bench.run("ip", "route add default via 10.0.0.2 dev fab0 metric 9");
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "rule 100 (tos 0x10) sent it to table 100, whose default route via 192.0.2.2 leaves via eth1",
        policy: Some(WORLD),
        make,
        remedies: vec![
            operator(
                "give 203.0.113.0/24 a route via fab0 in table 100 (`ip route replace 203.0.113.0/24 via 10.0.0.2 dev fab0 table 100`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape(
            "30 policy-tos-main",
            "udp --tos 16 --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// What has another mark, or none, goes to table 100, as `wg-quick` has it.
#[test]
fn a_rule_for_what_has_no_mark_says_nothing_of_one() {
    fn make(bench: &Bench) {
        misled(bench, "pref 100 not fwmark 0x51");
        bench.run("ip", "route replace default via 10.0.0.2 dev fab0");
        peer_has(bench, "203.0.113.9/32");
    }
    Mistake {
        cause: "=rule 100 (not fwmark 0x51) sent it to table 100, whose default route via 192.0.2.2 leaves via eth1",
        policy: Some(WORLD),
        make,
        remedies: vec![
            operator("give 203.0.113.0/24 a route via fab0 in table 100", Then::Peer),
            operator(
                "keep 203.0.113.0/24 out of rule 100 (not fwmark 0x51) (`ip rule add pref 99 to 203.0.113.0/24 lookup main`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape(
            "30 policy-not-mark",
            "udp --to 203.0.113.9:7009 --count 10",
        )
    }
    .is_fixed();
}

/// What the main table would lead outside as well is kept out of no rule: it has a longer prefix there than the one of the backplane.
#[test]
fn a_table_is_named_that_leads_there() {
    fn make(bench: &Bench) {
        misled(bench, "pref 100 to 10.0.0.0/8");
        bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1");
    }
    Mistake {
        cause: "rule 100 (to 10.0.0.0/8) sent it to table 100",
        make,
        remedies: vec![
            operator(
                "give 10.0.0.2 a route via fab0 in table 100 (`ip route replace 10.0.0.2 dev fab0 table 100`)",
                Then::Peer,
            ),
            operator("start the program by pinif run", Then::Peer),
            developer("bind the socket to fab0", Then::Peer),
        ],
        ..escape("30 rule-longer", "udp --to 10.0.0.2:7009 --count 10")
    }
    .is_fixed();
}
