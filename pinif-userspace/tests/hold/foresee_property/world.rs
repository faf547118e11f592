//! Random networks, with sockets in them.

use std::net::{IpAddr, SocketAddr};

use pinif_lab::{Namespace, Route, Rule};
use pinif_userspace::foresee::Event;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use socket2::{Domain, Protocol, Socket, Type};

/// The interfaces of a random card.
pub const LINKS: [&str; 3] = ["fab0", "eth1", "eth2"];

/// A random network, and sockets in it.
#[derive(Clone, Debug)]
pub struct World {
    /// Interface, prefix, gateway on it or none, table.
    pub routes: Vec<(usize, u8, bool, u32)>,
    /// Marks that lead to table 77.
    pub marks: Vec<u32>,
    /// Destination, mark, and the interface whose address they are bound to, if any; IPv6 or not.
    pub sockets: Vec<(u8, u32, Option<usize>, bool)>,
    /// Which interface goes down.
    pub down: usize,
}

pub fn world() -> impl Strategy<Value = World> {
    let route = (
        0..3usize,
        0..6u8,
        any::<bool>(),
        prop_oneof![Just(254u32), Just(77)],
    );
    let socket = (
        0..6u8,
        0..3u32,
        proptest::option::of(0..3usize),
        any::<bool>(),
    );
    (
        proptest::collection::vec(route, 0..8),
        proptest::collection::vec(1..3u32, 0..3),
        proptest::collection::vec(socket, 1..10),
        0..3usize,
    )
        .prop_map(|(routes, marks, sockets, down)| World {
            routes,
            marks,
            sockets,
            down,
        })
}

pub fn address(link: usize, host: u8, v6: bool) -> IpAddr {
    let text = if v6 {
        format!("fd00:{link}::{host}")
    } else {
        format!("10.{link}.0.{host}")
    };
    text.parse().expect("an address")
}

/// A destination: on one of the links, or beyond them.
pub fn destination(number: u8, v6: bool) -> IpAddr {
    match number {
        0..=2 => address(number.into(), 2, v6),
        _ if v6 => format!("fd00:9{number}::9").parse().expect("an address"),
        _ => format!("10.9{number}.0.9").parse().expect("an address"),
    }
}

pub fn prefix(number: u8, v6: bool) -> String {
    match (number, v6) {
        (0, false) => "0.0.0.0/0".to_owned(),
        (0, true) => "::/0".to_owned(),
        (1, _) => format!("{}/{}", destination(0, v6), if v6 { 128 } else { 32 }),
        (2, false) => "10.0.0.0/8".to_owned(),
        (2, true) => "fd00::/16".to_owned(),
        (_, false) => format!("10.9{number}.0.0/16"),
        (_, true) => format!("fd00:9{number}::/32"),
    }
}

pub fn build(world: &World) -> (Namespace, Namespace, Vec<Socket>) {
    let card = Namespace::new("card").expect("a namespace");
    let far = Namespace::new("far").expect("a namespace");
    for (number, link) in LINKS.iter().enumerate() {
        card.veth(link, &far, link, 1 + 16 * number as u8)
            .expect("a link");
        card.set_up(link).expect("up");
        far.set_up(link).expect("up");
        card.wait_until_operational(link).expect("operational");
        for v6 in [false, true] {
            let text = format!("{}/{}", address(number, 1, v6), if v6 { 64 } else { 24 });
            card.add_address(link, text.parse().expect("a prefix"))
                .expect("an address");
        }
    }
    for &(link, number, via, table) in &world.routes {
        for v6 in [false, true] {
            let mut route =
                Route::new(prefix(number, v6).parse().expect("a prefix"), LINKS[link]).table(table);
            if via {
                route = route.via(address(link, 2, v6));
            }
            // The same route twice is refused.
            let _ = card.add_route(route);
        }
    }
    for &mark in &world.marks {
        let _ = card.add_rule(Rule { mark, table: 77 });
    }
    let sockets = world
        .sockets
        .iter()
        .filter_map(|&(number, mark, bound, v6)| {
            card.run(|| {
                let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
                let socket =
                    Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
                socket.set_mark(mark).expect("a mark");
                if let Some(link) = bound {
                    socket
                        .bind(&SocketAddr::new(address(link, 1, v6), 0).into())
                        .expect("an address");
                }
                // Where no route leads, there is nothing to foresee.
                socket
                    .connect(&SocketAddr::new(destination(number, v6), 9).into())
                    .ok()?;
                Some(socket)
            })
            .expect("the card is there")
        });
    let sockets = sockets.collect();
    (card, far, sockets)
}

/// The interface that a socket's message leaves by.
pub fn leaves(card: &Namespace, socket: &Socket) -> Option<&'static str> {
    let count = || LINKS.map(|link| card.sent(link).expect("it is there").packets);
    let before = count();
    // What was refused reports an earlier message's end first.
    let _ = socket.take_error();
    let _ = socket.send(b"x");
    let after = count();
    let mut by = (0..LINKS.len()).filter(|&link| after[link] != before[link]);
    by.next().map(|link| LINKS[link])
}

pub fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        // Each case takes a while, and shows enough as it is.
        max_shrink_iters: 0,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

pub fn down(name: &str) -> Event {
    Event::Down(name.to_owned())
}
