//! Routes, as the kernel's look-up returns them.

use pinif_ebpf::key::IfIndex;
use pinif_userspace::{
    findings::explain,
    host::{
        links::Links,
        routes::{Hop, Route, RouteError, RouteOracle, RouteProtocol, RouteQuery, RouteType},
    },
};

use crate::card::{Card, card, ip};

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
        let route = oracle.look_up(&RouteQuery::to(ip(to))).expect(to);
        explain::Route::of(&route, &links).to_string()
    };

    assert_eq!(
        described("10.9.9.9"),
        "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
    );
    assert_eq!(
        described("10.0.0.2"),
        "route 10.0.0.0/24 dev fab0 src 10.0.0.1 in table main"
    );
    assert_eq!(
        described("10.0.0.1"),
        "local route 10.0.0.1/32 dev fab0 src 10.0.0.1 in table local"
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
        tos: 0,
        from: None,
        gateway: Some(ip("192.0.2.2")),
        is_onlink: false,
        output: Some(eth1),
        hops: Vec::new(),
        next_hop: None,
        table: 254,
        preferred_source: None,
        encapsulation: None,
        beside: Some(String::new()),
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
fn of_several_next_hops_the_flows_own_is_returned() {
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
        let hops_of_route: Vec<_> = hops
            .iter()
            .filter(|(gateway, _)| gateway.is_ipv4() == ip(to).is_ipv4())
            .map(|(gateway, output)| Hop {
                gateway: Some(*gateway),
                is_onlink: false,
                is_dead: false,
                output: Some(*output),
            })
            .collect();
        assert_eq!(route.hops.len(), 2);
        assert!(
            hops_of_route.iter().all(|hop| route.hops.contains(hop)),
            "{route:?}"
        );
        assert!(route.way_by(eth1).is_some_and(|way| way.gateway.is_some()));
    }
}

#[test]
fn a_next_hop_object_is_returned() {
    let card = card();
    card.ip("nexthop add id 7 via 192.0.2.2 dev eth1");
    card.ip("nexthop add id 8 via 10.0.0.2 dev fab0");
    card.ip("nexthop add id 9 group 7/8");
    card.ip("route add 203.0.113.0/24 nhid 7");
    card.ip("route add 198.51.100.0/24 nhid 9");
    let links: Links = card.network().links;
    let mut oracle = oracle(&card);
    let mut route = |to: &str| oracle.look_up(&RouteQuery::to(ip(to))).expect(to);
    let single = route("203.0.113.9");
    assert_eq!(single.next_hop, Some(7));
    assert_eq!(
        explain::Route::of(&single, &links).to_string(),
        "route 203.0.113.0/24 via 192.0.2.2 dev eth1 in table main"
    );
    let group = route("198.51.100.9");
    assert_eq!(group.next_hop, Some(9));
    let text = explain::Route::of(&group, &links).to_string();
    assert!(
        text.starts_with("route 198.51.100.0/24 via ")
            && text.ends_with(" in table main, one of its 2 next hops"),
        "{text}"
    );
}
