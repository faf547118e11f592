//! Each selector alone, and the words.

mod walk;

use ipnet::IpNet;
use netlink_packet_core::Parseable as _;
use netlink_packet_route::{
    route::{RouteProtocol, RouteType},
    rule::RuleMessage,
};
use pinif_ebpf::key::IfIndex;
use proptest::prelude::*;

use super::*;
use crate::host::{
    links::{Link, Links},
    routes::{Route, RouteQuery},
};

const FAB0: IfIndex = IfIndex(2);
const ETH1: IfIndex = IfIndex(3);
const BLUE: IfIndex = IfIndex(9);

/// lo, fab0 in the VRF blue (table 10), and eth1.
fn links() -> Links {
    Links::from_iter([
        Link::new(IfIndex(1), "lo"),
        Link {
            controller: Some(BLUE),
            ..Link::new(FAB0, "fab0")
        },
        Link::new(ETH1, "eth1"),
        Link {
            vrf_table: Some(10),
            ..Link::new(BLUE, "blue")
        },
    ])
}

fn query() -> RouteQuery {
    RouteQuery {
        protocol: Some(libc::IPPROTO_UDP as u8),
        source_port: Some(5000),
        destination_port: Some(53),
        ..RouteQuery::to([10, 0, 0, 2].into())
    }
}

fn takes(selector: &Selector, query: &RouteQuery) -> Option<bool> {
    let links = links();
    let flow = Flow::of(query, &links);
    let inverted = Selector {
        inverted: true,
        ..selector.clone()
    };
    let taken = selector.takes(&flow);
    assert_eq!(inverted.takes(&flow), taken.map(|taken| !taken));
    taken
}

/// A selector, a packet that it takes, and one that it does not.
fn only(selector: Selector, taken: RouteQuery, left: RouteQuery) {
    assert_eq!(
        takes(&selector, &taken),
        Some(true),
        "{selector}: {taken:?}"
    );
    assert_eq!(takes(&selector, &left), Some(false), "{selector}: {left:?}");
}

fn net(text: &str) -> Option<IpNet> {
    Some(text.parse().expect("a network"))
}

fn all() -> Selector {
    Selector::default()
}

#[test]
fn addresses_marks_and_users_are_looked_at() {
    assert_eq!(takes(&all(), &query()), Some(true));
    let from = |source: [u8; 4]| RouteQuery {
        source: Some(source.into()),
        ..query()
    };
    let by_source = Selector {
        from: net("10.0.0.0/24"),
        ..all()
    };
    only(by_source.clone(), from([10, 0, 0, 1]), from([10, 0, 1, 1]));
    only(by_source, from([10, 0, 0, 1]), query());
    let by_destination = Selector {
        to: net("10.0.0.0/24"),
        ..all()
    };
    only(
        by_destination,
        query(),
        RouteQuery::to([10, 0, 1, 2].into()),
    );
    let marked = |mark| RouteQuery { mark, ..query() };
    let by_mark = |mark, mask| Selector {
        mark: Some((mark, mask)),
        ..all()
    };
    only(by_mark(7, u32::MAX), marked(7), marked(6));
    only(by_mark(0x10, 0xf0), marked(0x1f), marked(0x2f));
    only(by_mark(0, 1), marked(2), marked(3));
    let sent_by = |uid| RouteQuery { uid, ..query() };
    let users = |users| Selector {
        users: Some(users),
        ..all()
    };
    only(users(1000..=1001), sent_by(Some(1001)), sent_by(Some(1002)));
    only(users(0..=0), sent_by(None), sent_by(Some(1)));
}

#[test]
fn protocols_and_ports_are_those_that_the_kernel_was_asked_with() {
    let protocol = |protocol| RouteQuery {
        protocol: Some(protocol),
        ..query()
    };
    let by_protocol = |protocol| Selector {
        protocol: Some(protocol),
        ..all()
    };
    only(by_protocol(17), protocol(17), protocol(6));
    only(by_protocol(1), protocol(1), protocol(17));
    // The kernel's question has no place for SCTP: its answer is for a packet without a protocol (`Flow::routed` has it).
    assert_eq!(takes(&by_protocol(132), &protocol(132)), Some(false));
    let destination_ports = |ports| Selector {
        destination_ports: Some(ports),
        ..all()
    };
    let source_ports = |ports| Selector {
        source_ports: Some(ports),
        ..all()
    };
    assert_eq!(takes(&destination_ports(53..=53), &query()), Some(true));
    assert_eq!(takes(&destination_ports(54..=60), &query()), Some(false));
    assert_eq!(takes(&source_ports(5000..=5001), &query()), Some(true));
    assert_eq!(takes(&source_ports(1..=4999), &query()), Some(false));
    assert_eq!(takes(&source_ports(1..=65535), &protocol(1)), Some(false));
    let by_tos = Selector { tos: 0x10, ..all() };
    let tos = |tos| RouteQuery { tos, ..query() };
    only(by_tos.clone(), tos(0x10), tos(0x08));
    only(by_tos, tos(0x11), tos(0));
    let by_tunnel = Selector { tunnel: 5, ..all() };
    assert_eq!(takes(&by_tunnel, &query()), Some(false));
}

#[test]
fn interfaces_are_those_of_the_flow() {
    let by = |output| RouteQuery { output, ..query() };
    let output = |name: &str| Selector {
        output: Some(name.to_owned()),
        ..all()
    };
    only(output("eth1"), by(Some(ETH1)), by(Some(FAB0)));
    only(output("eth1"), by(Some(ETH1)), by(None));
    assert_eq!(takes(&output("gone0"), &by(None)), Some(false));
    let input = |name: &str| Selector {
        input: Some(name.to_owned()),
        ..all()
    };
    let came_by = |input| RouteQuery { input, ..query() };
    only(input("lo"), came_by(None), came_by(Some(ETH1)));
    only(input("eth1"), came_by(Some(ETH1)), came_by(None));
    let l3mdev = Selector {
        l3mdev: true,
        ..all()
    };
    only(l3mdev.clone(), by(Some(BLUE)), by(Some(ETH1)));
    only(l3mdev.clone(), by(Some(FAB0)), by(None));
    only(l3mdev, came_by(Some(FAB0)), came_by(Some(ETH1)));
    // Kernels differ.
    assert_eq!(takes(&output("blue"), &by(Some(BLUE))), None);
    assert_eq!(takes(&output("blue"), &by(Some(ETH1))), Some(false));
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let more = Selector {
        more: true,
        ..all()
    };
    assert_eq!(takes(&more, &query()), None);
    let certain = Selector {
        mark: Some((1, u32::MAX)),
        ..more.clone()
    };
    assert_eq!(takes(&certain, &query()), Some(false));
    // Its table confirms it, unless another may have led there as well.
    let unsure = rule(100, more, 7);
    let route = route_in(7, "0.0.0.0/0");
    let rules = Rules(vec![unsure.clone(), rule(200, all(), 254)]);
    assert_eq!(chosen(&rules, &query(), &route), Some(unsure.clone()));
    let rules = Rules(vec![unsure, rule(200, all(), 7)]);
    assert_eq!(chosen(&rules, &query(), &route), None);
}

#[test]
fn rules_are_written_as_ip_rule_writes_them() {
    assert_eq!(rule(32766, all(), 254).to_string(), "rule 32766 (from all)");
    let selector = Selector {
        inverted: true,
        from: net("10.0.0.1/32"),
        to: net("10.9.0.0/16"),
        tos: 0x10,
        mark: Some((7, 0xff)),
        input: Some("lo".to_owned()),
        output: Some("eth1".to_owned()),
        users: Some(0..=5),
        protocol: Some(17),
        source_ports: Some(1..=2),
        destination_ports: Some(53..=53),
        ..all()
    };
    assert_eq!(
        selector.to_string(),
        "not from 10.0.0.1 to 10.9.0.0/16 tos 0x10 fwmark 0x7/0xff iif lo oif eth1 uidrange 0-5 ipproto udp sport 1-2 \
         dport 53"
    );
    let action = Action::Table {
        table: 254,
        suppressed_length: Some(0),
        suppressed_group: Some(5),
    };
    assert_eq!(
        action.to_string(),
        "lookup main suppress_prefixlength 0 suppress_ifgroup 5"
    );
    assert_eq!(Action::Goto(5).to_string(), "goto 5");
}

fn rule(priority: u32, selector: Selector, table: u32) -> Rule {
    Rule {
        priority,
        selector,
        action: Action::Table {
            table,
            suppressed_length: None,
            suppressed_group: None,
        },
    }
}

fn route_in(table: u32, prefix: &str) -> Route {
    Route {
        prefix: prefix.parse().expect("a prefix"),
        tos: 0,
        from: None,
        gateway: None,
        is_onlink: false,
        output: Some(ETH1),
        hops: Vec::new(),
        next_hop: None,
        table,
        preferred_source: None,
        encapsulation: None,
        beside: None,
        protocol: RouteProtocol::Static,
        kind: RouteType::Unicast,
        metric: 0,
    }
}

fn chosen(rules: &Rules, query: &RouteQuery, route: &Route) -> Option<Rule> {
    let links = links();
    let flow = Flow::of(query, &links);
    let chosen = rules.chosen(&flow, route, &mut |_| Some(0));
    chosen.map(|chosen| chosen.rule.clone())
}

proptest! {
    #[test]
    fn any_bytes_are_a_rule_or_none(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(message) = RuleMessage::parse(&bytes) {
            let _ = Rule::read(&message).to_string();
        }
    }
}
