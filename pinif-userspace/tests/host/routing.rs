//! Routes, as the kernel's look-up tells them.

use pinif_ebpf::key::IfIndex;
use pinif_userspace::host::routes::{
    Route, RouteError, RouteOracle, RouteProtocol, RouteQuery, RouteType,
};

use crate::{Card, card, ip};

fn oracle(card: &Card) -> RouteOracle {
    RouteOracle::open(&card.netns()).expect("an oracle")
}

#[test]
fn routes_are_the_kernels_own_answer() {
    let card = card();
    card.ip("route add default via 192.0.2.2 metric 50");
    card.ip("-6 route add default via 2001:db8:1::2");
    card.ip("route add unreachable 198.51.100.0/24");
    card.ip("route add prohibit 198.51.101.0/24");
    card.ip("route add blackhole 198.51.102.0/24");
    let links = card.network().links;
    let (fab0, eth1) = (card.index("fab0"), card.index("eth1"));
    let mut oracle = oracle(&card);
    let mut described = |to: &str| {
        oracle
            .look_up(&RouteQuery::to(ip(to)))
            .expect(to)
            .describe(&links)
    };

    assert_eq!(
        described("10.9.9.9"),
        "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
    );
    assert_eq!(
        described("10.0.0.2"),
        "route 10.0.0.0/24 dev fab0 in table main"
    );
    assert_eq!(
        described("10.0.0.1"),
        "local route 10.0.0.1/32 dev fab0 in table local"
    );
    assert_eq!(
        described("2001:db8::2"),
        "route 2001:db8::/64 dev fab0 in table main"
    );
    assert_eq!(
        described("2001:db8:9::9"),
        "route ::/0 via 2001:db8:1::2 dev eth1 in table main"
    );
    assert_eq!(
        described("2001:db8::1"),
        "local route 2001:db8::1/128 dev fab0 in table local"
    );

    let route = oracle
        .look_up(&RouteQuery::to(ip("10.9.9.9")))
        .expect("a route");
    let expected = Route {
        prefix: "0.0.0.0/0".parse().expect("a prefix"),
        gateway: Some(ip("192.0.2.2")),
        output: Some(eth1),
        table: 254,
        preferred_source: None,
        protocol: RouteProtocol::Boot,
        kind: RouteType::Unicast,
        metric: 50,
    };
    assert_eq!(route, expected);
    let connected = oracle
        .look_up(&RouteQuery::to(ip("10.0.0.2")))
        .expect("a route");
    assert_eq!(
        (connected.output, connected.preferred_source),
        (Some(fab0), Some(ip("10.0.0.1")))
    );

    let mut refused = |to: &str| oracle.look_up(&RouteQuery::to(ip(to))).expect_err(to);
    assert!(matches!(
        refused("198.51.100.1"),
        RouteError::Unreachable(_)
    ));
    assert!(matches!(refused("198.51.101.1"), RouteError::Prohibited(_)));
    assert!(matches!(
        refused("198.51.102.1"),
        RouteError::Refused { .. }
    ));
    let through = |output, to: &str| RouteQuery {
        output: Some(output),
        ..RouteQuery::to(ip(to))
    };
    assert_eq!(
        oracle.look_up(&through(eth1, "10.9.9.9")).expect("a route"),
        expected
    );
    assert!(matches!(
        oracle.look_up(&through(fab0, "10.9.9.9")),
        Err(RouteError::OnLink(_))
    ));
    assert!(matches!(
        oracle.look_up(&through(fab0, "2001:db8:9::9")),
        Err(RouteError::Unreachable(_))
    ));
    assert!(matches!(
        oracle.look_up(&through(IfIndex(4_000), "10.9.9.9")),
        Err(RouteError::Refused { .. })
    ));

    card.ip("route del default");
    card.ip("-6 route del default");
    assert!(matches!(
        oracle.look_up(&RouteQuery::to(ip("10.9.9.9"))),
        Err(RouteError::Unreachable(_))
    ));
    assert!(matches!(
        oracle.look_up(&RouteQuery::to(ip("2001:db8:9::9"))),
        Err(RouteError::Unreachable(_))
    ));
}

#[test]
fn rules_choose_the_table_that_is_told() {
    let card = card();
    card.ip("route add default via 192.0.2.2");
    card.ip("route add default via 10.0.0.2 table 100");
    card.ip("-6 route add default via 2001:db8::2 table 100");
    card.ip("rule add fwmark 7 lookup 100");
    card.ip("-6 rule add fwmark 7 lookup 100");
    card.ip("rule add from 10.0.0.1 lookup 100");
    card.ip("rule add uidrange 4711-4711 lookup 100");
    card.ip("rule add ipproto udp dport 4789 lookup 100");
    let links = card.network().links;
    let mut oracle = oracle(&card);
    let mut described =
        |query: RouteQuery| oracle.look_up(&query).expect("a route").describe(&links);

    let (outside, inside) = (
        "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main",
        "route 0.0.0.0/0 via 10.0.0.2 dev fab0 in table 100",
    );
    let plain = RouteQuery::to(ip("10.9.9.9"));
    assert_eq!(described(plain.clone()), outside);
    assert_eq!(
        described(RouteQuery {
            mark: 7,
            ..plain.clone()
        }),
        inside
    );
    assert_eq!(
        described(RouteQuery {
            source: Some(ip("10.0.0.1")),
            ..plain.clone()
        }),
        inside
    );
    assert_eq!(
        described(RouteQuery {
            source: Some(ip("192.0.2.1")),
            ..plain.clone()
        }),
        outside
    );
    assert_eq!(
        described(RouteQuery {
            uid: Some(4711),
            ..plain.clone()
        }),
        inside
    );
    assert_eq!(
        described(RouteQuery {
            uid: Some(4712),
            ..plain.clone()
        }),
        outside
    );
    let datagram = RouteQuery {
        protocol: Some(17),
        destination_port: Some(4789),
        ..plain.clone()
    };
    assert_eq!(described(datagram.clone()), inside);
    assert_eq!(
        described(RouteQuery {
            destination_port: Some(4790),
            ..datagram
        }),
        outside
    );
    assert_eq!(
        described(RouteQuery {
            protocol: Some(132),
            ..plain
        }),
        outside
    );
    let marked = RouteQuery {
        mark: 7,
        ..RouteQuery::to(ip("2001:db8:9::9"))
    };
    assert_eq!(
        described(marked),
        "route ::/0 via 2001:db8::2 dev fab0 in table 100"
    );
    assert_eq!(
        described(RouteQuery::to(ip("10.0.0.1"))),
        "local route 10.0.0.1/32 dev fab0 in table local"
    );
}

#[test]
fn of_several_next_hops_the_flows_own_is_told() {
    let card = card();
    card.ip(
        "route add 203.0.113.0/24 nexthop via 192.0.2.2 dev eth1 nexthop via 10.0.0.2 dev fab0",
    );
    card.ip("-6 route add 2001:db8:7::/64 nexthop via 2001:db8:1::2 dev eth1 nexthop via 2001:db8::2 dev fab0");
    let mut oracle = oracle(&card);
    let (fab0, eth1) = (card.index("fab0"), card.index("eth1"));
    let hops = [
        (ip("192.0.2.2"), eth1),
        (ip("10.0.0.2"), fab0),
        (ip("2001:db8:1::2"), eth1),
        (ip("2001:db8::2"), fab0),
    ];
    for (to, prefix) in [
        ("203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:7::9", "2001:db8:7::/64"),
    ] {
        let route = oracle.look_up(&RouteQuery::to(ip(to))).expect("a route");
        assert_eq!(route.prefix.to_string(), prefix);
        let hop = (
            route.gateway.expect("a gateway"),
            route.output.expect("an interface"),
        );
        assert!(hops.contains(&hop), "{hop:?}");
    }
}
