//! The rule that chose a packet's route: pinif's answer against what the kernel did.

use pinif_ebpf::key::IfIndex;
use pinif_userspace::{
    findings::explain,
    host::{
        links::Links,
        routes::{RouteOracle, RouteQuery},
        rules::Rules,
    },
};

use crate::card::{Card, card, ip};

/// Asks for packets to 10.9.9.9 and 2001:db8:9::9, where the main table leads out by eth1 and table 100 by fab0.
struct Asked {
    card: Card,
    oracle: RouteOracle,
    links: Links,
}

impl Asked {
    fn with(rules: &[&str]) -> Self {
        let card = card();
        card.ip("route add default via 192.0.2.2");
        card.ip("-6 route add default via 2001:db8:1::2");
        card.ip("route add default via 10.0.0.2 table 100");
        card.ip("-6 route add default via 2001:db8::2 table 100");
        for rule in rules {
            card.ip(rule);
        }
        Self {
            oracle: RouteOracle::open(&card.netns()).expect("an oracle"),
            links: card.network().links,
            card,
        }
    }

    fn index(&self, name: &str) -> IfIndex {
        self.links.by_name(name).expect(name).index
    }

    fn route(&mut self, query: &RouteQuery) -> String {
        let choice = self.oracle.choose(query, &self.links).expect("a route");
        explain::Route::chosen(&choice, &self.links).to_string()
    }

    /// The rule says this, and the route is table 100's.
    fn inside(&mut self, rule: &str, query: &RouteQuery) {
        let gateway = if query.destination.is_ipv4() {
            "10.0.0.2"
        } else {
            "2001:db8::2"
        };
        assert_eq!(
            self.route(query),
            format!(
                "{rule} sent it to table 100, whose default route via {gateway} leaves via fab0"
            )
        );
    }

    /// No rule but the usual, and the route is the main table's.
    fn outside(&mut self, query: &RouteQuery) {
        let route = if query.destination.is_ipv4() {
            "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
        } else {
            "route ::/0 via 2001:db8:1::2 dev eth1 in table main"
        };
        assert_eq!(self.route(query), route);
    }
}

fn plain() -> RouteQuery {
    RouteQuery::to(ip("10.9.9.9"))
}

fn plain6() -> RouteQuery {
    RouteQuery::to(ip("2001:db8:9::9"))
}

/// A socket with `IP_TRANSPARENT` sends from it, and the kernel answers no question about that.
#[test]
fn by_a_source_that_no_interface_has() {
    let foreign = |to: &str| RouteQuery {
        source: Some(ip("198.51.100.77")),
        ..RouteQuery::to(ip(to))
    };
    let mut plain = Asked::with(&["rule add pref 100 from 10.0.0.1 lookup 100"]);
    plain.outside(&foreign("10.9.9.9"));
    let rules = [
        "rule add pref 90 from 198.51.100.0/24 lookup 99",
        "rule add pref 95 from 198.51.100.0/24 lookup main suppress_prefixlength 0",
        "rule add pref 96 from 198.51.100.0/24 goto 110",
        "rule add pref 100 lookup 98",
        "rule add pref 110 from 198.51.100.0/24 lookup 100",
    ];
    let mut asked = Asked::with(&rules);
    for route in [
        "route add throw 10.9.0.0/16 table 99",
        "route add 10.9.9.9/32 via 192.0.2.2 table 98",
        "route add 10.8.0.0/16 via 10.0.0.2 tos 0x10 table 99",
        "route add blackhole 10.7.0.0/16 table 99",
    ] {
        asked.card.ip(route);
    }
    let rule = "rule 110 (from 198.51.100.0/24)";
    asked.inside(rule, &foreign("10.9.9.9"));
    asked.inside(rule, &foreign("10.8.9.9"));
    let of_service = RouteQuery {
        tos: 0x10,
        ..foreign("10.8.9.9")
    };
    assert_eq!(
        asked.route(&of_service),
        "rule 90 (from 198.51.100.0/24) sent it to table 99, whose route 10.8.0.0/16 tos 0x10 via 10.0.0.2 leaves via fab0"
    );
    assert_eq!(
        asked.route(&foreign("10.0.0.2")),
        "rule 95 (from 198.51.100.0/24) sent it to table main, whose route 10.0.0.0/24 (src 10.0.0.1) leaves via fab0"
    );
    let black = asked.oracle.choose(&foreign("10.7.0.1"), &asked.links);
    assert!(black.is_err(), "{black:?}");
}

#[test]
fn by_mark_by_user_by_source_and_by_port() {
    let mut asked = Asked::with(&[
        "rule add pref 100 fwmark 7 lookup 100",
        "-6 rule add pref 100 fwmark 7 lookup 100",
        "rule add pref 101 fwmark 0x10/0xf0 lookup 100",
        "rule add pref 110 from 10.0.0.1 lookup 100",
        "-6 rule add pref 110 from 2001:db8::/64 lookup 100",
        "rule add pref 120 uidrange 4711-4712 lookup 100",
        "rule add pref 130 ipproto udp dport 4789 lookup 100",
        "rule add pref 140 to 10.9.8.0/24 lookup 100",
        "rule add pref 150 tos 0x10 lookup 100",
    ]);
    asked.outside(&plain());
    asked.outside(&plain6());
    let marked = |mark, query| RouteQuery { mark, ..query };
    asked.inside("rule 100 (fwmark 0x7)", &marked(7, plain()));
    asked.inside("rule 100 (fwmark 0x7)", &marked(7, plain6()));
    asked.inside("rule 101 (fwmark 0x10/0xf0)", &marked(0x17, plain()));
    asked.outside(&marked(0x27, plain()));
    let from = |source, query| RouteQuery {
        source: Some(ip(source)),
        ..query
    };
    asked.inside("rule 110 (from 10.0.0.1)", &from("10.0.0.1", plain()));
    asked.outside(&from("192.0.2.1", plain()));
    asked.inside(
        "rule 110 (from 2001:db8::/64)",
        &from("2001:db8::1", plain6()),
    );
    asked.outside(&from("2001:db8:1::1", plain6()));
    let sent_by = |uid| RouteQuery {
        uid: Some(uid),
        ..plain()
    };
    asked.inside("rule 120 (uidrange 4711-4712)", &sent_by(4712));
    asked.outside(&sent_by(4713));
    let datagram = |port| RouteQuery {
        protocol: Some(17),
        destination_port: Some(port),
        ..plain()
    };
    asked.inside("rule 130 (ipproto udp dport 4789)", &datagram(4789));
    asked.outside(&datagram(4790));
    // The kernel cannot be asked for these.
    let of = |protocol, port| RouteQuery {
        protocol: Some(protocol),
        ..datagram(port)
    };
    asked.outside(&of(132, 4789));
    asked.outside(&of(47, 0));
    asked.card.ip("rule add pref 125 ipproto 89 lookup 100");
    asked
        .card
        .ip("rule add pref 126 ipproto 132 dport 9 lookup 100");
    asked.oracle.rules_changed();
    asked.inside("rule 125 (ipproto 89)", &of(89, 9));
    asked.inside("rule 126 (ipproto 132 dport 9)", &of(132, 9));
    asked.outside(&of(132, 8));
    asked.inside("rule 140 (to 10.9.8.0/24)", &RouteQuery::to(ip("10.9.8.1")));
    let tos = |tos| RouteQuery { tos, ..plain() };
    asked.inside("rule 150 (tos 0x10)", &tos(0x10));
    asked.outside(&tos(0x08));
    assert_eq!(
        asked.route(&RouteQuery::to(ip("10.0.0.1"))),
        "local route 10.0.0.1/32 dev fab0 src 10.0.0.1 in table local"
    );
}

#[test]
fn by_interface() {
    let mut asked = Asked::with(&[
        "rule add pref 100 oif fab0 lookup 100",
        "-6 rule add pref 100 oif fab0 lookup 100",
        "rule add pref 110 iif peer1 lookup 100",
        "rule add pref 120 iif lo to 10.9.8.0/24 lookup 100",
    ]);
    let bound = |output, query| RouteQuery {
        output: Some(output),
        ..query
    };
    let (fab0, eth1) = (asked.index("fab0"), asked.index("eth1"));
    asked.inside("rule 100 (oif fab0)", &bound(fab0, plain()));
    asked.inside("rule 100 (oif fab0)", &bound(fab0, plain6()));
    asked.outside(&bound(eth1, plain()));
    asked.outside(&plain());
    asked.inside(
        "rule 120 (to 10.9.8.0/24 iif lo)",
        &RouteQuery::to(ip("10.9.8.1")),
    );
    // What is forwarded comes in by an interface.
    asked.card.ip("link set peer1 up");
    let path = "/proc/sys/net/ipv4";
    for (name, value) in [
        ("ip_forward", "1"),
        ("conf/all/rp_filter", "0"),
        ("conf/peer1/rp_filter", "0"),
    ] {
        let file = format!("{path}/{name}");
        let written = asked.card.netns().run(|| std::fs::write(&file, value));
        written.expect("the card").expect("a setting");
    }
    let forwarded = |input: &str| RouteQuery {
        input: Some(asked.links.by_name(input).expect("a link").index),
        source: Some(ip("198.51.100.1")),
        ..plain()
    };
    let by_rule = forwarded("peer1");
    asked.inside("rule 110 (iif peer1)", &by_rule);
}

#[test]
fn by_what_they_are_not_and_by_what_they_suppress() {
    let mut asked = Asked::with(&[
        // As WireGuard does it (wg-quick(8)): routes of the main table but for the default, else the tunnel.
        "rule add pref 100 lookup main suppress_prefixlength 0",
        "rule add pref 200 not fwmark 0xca6c lookup 100",
    ]);
    asked.inside("rule 200 (not fwmark 0xca6c)", &plain());
    asked.outside(&RouteQuery {
        mark: 0xca6c,
        ..plain()
    });
    assert_eq!(
        asked.route(&RouteQuery::to(ip("192.0.2.9"))),
        "rule 100 (from all) sent it to table main, whose route 192.0.2.0/24 (src 192.0.2.1) leaves via eth1"
    );
    asked.outside(&plain6());
}

#[test]
fn by_group_and_by_jump() {
    let mut asked = Asked::with(&[
        "link set eth1 group 5",
        "rule add pref 50 fwmark 1 goto 300",
        "rule add pref 100 lookup main suppress_ifgroup 5",
        "rule add pref 200 fwmark 2 lookup 100",
        "rule add pref 300 fwmark 1 lookup 100",
    ]);
    asked.outside(&plain());
    let marked = |mark| RouteQuery { mark, ..plain() };
    asked.inside("rule 200 (fwmark 0x2)", &marked(2));
    asked.inside("rule 300 (fwmark 0x1)", &marked(1));
    assert_eq!(
        asked.route(&RouteQuery::to(ip("10.0.0.9"))),
        "rule 100 (from all) sent it to table main, whose route 10.0.0.0/24 (src 10.0.0.1) leaves via fab0"
    );
}

#[test]
fn of_two_rules_for_one_table_the_first_that_takes_it() {
    let mut asked = Asked::with(&[
        "rule add pref 100 fwmark 1 lookup 100",
        "rule add pref 200 from 10.0.0.1 lookup 100",
        "rule add pref 300 to 10.9.9.9 lookup 200",
        "rule add pref 400 to 10.9.9.9 lookup 100",
    ]);
    let from = RouteQuery {
        source: Some(ip("10.0.0.1")),
        ..plain()
    };
    asked.inside("rule 200 (from 10.0.0.1)", &from);
    asked.inside("rule 100 (fwmark 0x1)", &RouteQuery { mark: 1, ..from });
    // Table 200 has no route, and the next rule is asked.
    asked.inside("rule 400 (to 10.9.9.9)", &plain());
    // A change is read once the oracle is notified.
    asked.card.ip("rule del pref 400");
    asked.oracle.rules_changed();
    asked.outside(&plain());
}

#[test]
fn rules_are_read_as_ip_rule_lists_them() {
    let asked = Asked::with(&[
        "rule add pref 100 not from 10.0.0.0/8 to 10.9.9.9 tos 0x10 fwmark 1/3 iif lo oif eth1 uidrange 5-6 \
         ipproto tcp sport 1-2 dport 53 lookup 100 suppress_prefixlength 8",
        "rule add pref 150 from 10.1.1.1 prohibit",
    ]);
    let listed = |ipv6| -> Vec<String> {
        let rules = Rules::read(&asked.card.netns(), ipv6).expect("rules");
        rules
            .iter()
            .map(|rule| format!("{rule}: {}", rule.action))
            .collect()
    };
    assert_eq!(
        listed(false),
        [
            "rule 0 (from all): lookup local",
            "rule 100 (not from 10.0.0.0/8 to 10.9.9.9 tos 0x10 fwmark 0x1/0x3 iif lo oif eth1 uidrange 5-6 ipproto tcp \
             sport 1-2 dport 53): lookup 100 suppress_prefixlength 8",
            "rule 150 (from 10.1.1.1): prohibit",
            "rule 32766 (from all): lookup main",
            "rule 32767 (from all): lookup default",
        ]
    );
    assert_eq!(
        listed(true),
        [
            "rule 0 (from all): lookup local",
            "rule 32766 (from all): lookup main"
        ]
    );
}
