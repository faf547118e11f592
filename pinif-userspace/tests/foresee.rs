//! `pinif foresee`: what it tells is what happens.

mod bench;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};

use pinif_userspace::foresee::{self, Event, Original};
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::lab::{Namespace, Route, Rule};
use pinif_userspace::survey;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use bench::{Bench, scenario};

fn pinif(bench: &Bench, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(["foresee", "--netns", bench.card().name()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("pinif")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn connected(card: &Namespace, local: &str, remote: &str) -> UdpSocket {
    card.run(|| {
        let socket = UdpSocket::bind(local).expect("a socket");
        socket.connect(remote).expect("a route");
        socket
    })
    .expect("the card is there")
}

#[test]
fn a_link_that_goes_down_is_foreseen() {
    scenario("foresee down", &[], |bench| {
        let socket = connected(bench.card(), "0.0.0.0:7001", "10.0.0.2:9");
        let _pinned = connected(bench.card(), "0.0.0.0:7002", "10.0.0.2:9");
        SockRef::from(&_pinned)
            .bind_device(Some(b"fab0"))
            .expect("a device");
        let _outside = connected(bench.card(), "0.0.0.0:7003", "203.0.113.9:9");
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let lines = lines(&output);
        let [finding, summary] = &lines[..] else {
            panic!("{lines:?}")
        };
        for (key, value) in [
            ("type", json!("finding")),
            ("latent", json!(true)),
            ("if", json!("fab0 down")),
            ("kind", json!("address-escape")),
            ("severity", json!("risk")),
            ("egress_interface", json!("eth1")),
            ("source", json!("10.0.0.1:7001")),
            ("destination", json!("10.0.0.2:9")),
            (
                "cause",
                json!("route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"),
            ),
            (
                "remedy",
                json!(
                    "bind the socket to fab0 with SO_BINDTODEVICE: a bound socket leaves by no other interface"
                ),
            ),
        ] {
            assert_eq!(finding[key], value, "{finding}");
        }
        assert_eq!(finding["process"]["pid"], json!(std::process::id()));
        assert_eq!(
            (&summary["findings"], &summary["uncopied"]),
            (&json!(1), &json!([]))
        );
        assert_eq!(summary["foreseen"], json!(["fab0 down"]));

        // And so it happens.
        bench.card().set_down("fab0").expect("down");
        let (sent, outside) = bench.outside_while(|| socket.send(b"x"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 1));
    });
}

#[test]
fn every_interface_is_foreseen_in_turn_and_nothing_is_changed() {
    scenario("foresee all", &[], |bench| {
        let _inside = connected(bench.card(), "0.0.0.0:7001", "10.0.0.2:9");
        let output = pinif(bench, &[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with(
                "fab0 down: 1 socket would leave by another interface\n  risk  address-escape  "
            ),
            "{said}"
        );
        assert!(
            said.ends_with("eth1 down: 0 sockets would leave by another interface\n"),
            "{said}"
        );
        assert_eq!(pinif(bench, &["--fail-on", "leak"]).status.code(), Some(0));
        assert_eq!(pinif(bench, &["--down", "eth1"]).status.code(), Some(0));
        let (sent, outside) = bench.outside_while(|| _inside.send(b"x"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 0));
    });
}

#[test]
fn a_socket_that_is_not_connected_is_foreseen_by_the_networks_that_it_may_send_to() {
    scenario("foresee unconnected", &[], |bench| {
        let card = bench.card();
        let bind = |local: &str| {
            card.run(|| UdpSocket::bind(local).expect("a socket"))
                .expect("the card")
        };
        let (anywhere, _inside) = (bind("0.0.0.0:7001"), bind("10.0.0.1:7002"));
        let output = pinif(bench, &["--down", "fab0", "--format", "json"]);
        let mut told: Vec<_> = lines(&output)
            .iter()
            .filter(|line| line["type"] == "finding")
            .map(|line| {
                ["source", "kind", "destination", "egress_interface"]
                    .map(|key| line[key].as_str().expect("text").to_owned())
            })
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                ["0.0.0.0:7001", "unpinned", "10.0.0.0/24", "eth1"],
                ["10.0.0.1:7002", "address-escape", "10.0.0.0/24", "eth1"],
            ]
        );
        card.set_down("fab0").expect("down");
        let (sent, outside) = bench.outside_while(|| anywhere.send_to(b"x", "10.0.0.2:9"));
        assert_eq!((sent.expect("it is sent"), outside), (1, 1));
    });
}

#[test]
fn routes_that_come_and_go_are_foreseen() {
    scenario("foresee routes", &[], |bench| {
        let card = bench.card();
        let _inside = connected(card, "0.0.0.0:7001", "10.0.0.2:9");
        let astray = "10.0.0.2/32 via 192.0.2.2 dev eth1";
        let output = pinif(bench, &["--route-add", astray, "--format", "json"]);
        let lines_of = lines(&output);
        assert_eq!(lines_of[0]["egress_interface"], "eth1", "{output:?}");
        assert_eq!(lines_of[0]["if"], format!("route {astray} added"));

        card.add_route(Route::new("10.9.0.0/16".parse().expect("a prefix"), "fab0"))
            .expect("a route");
        let _further = connected(card, "0.0.0.0:7002", "10.9.0.9:9");
        let output = pinif(
            bench,
            &["--route-del", "10.9.0.0/16 dev fab0", "--format", "json"],
        );
        let lines_of = lines(&output);
        assert_eq!(lines_of.len(), 2, "{output:?}");
        assert_eq!(
            (&lines_of[0]["source"], &lines_of[0]["egress_interface"]),
            (&json!("10.0.0.1:7002"), &json!("eth1"))
        );
    });
}

#[test]
fn what_cannot_be_foreseen_is_told() {
    scenario("foresee errors", &[], |bench| {
        let refused = |arguments: &[&str]| {
            let output = pinif(bench, arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            said
        };
        bench.lacks("fab9", &refused(&["--down", "fab9"]));
        let said = refused(&["--route-del", "10.77.0.0/16 dev fab0"]);
        assert!(
            said.starts_with(
                "pinif: the route 10.77.0.0/16 dev fab0 cannot be removed: No such process"
            ),
            "{said}"
        );
        let said = refused(&["--route-add", "10.0.0.0/8 through eth1"]);
        assert!(said.contains("`through` is not known"), "{said}");
    });
}

/// The interfaces of a random card.
const LINKS: [&str; 3] = ["fab0", "eth1", "eth2"];

/// A random network, and sockets in it.
#[derive(Clone, Debug)]
struct World {
    /// Interface, prefix, gateway on it or none, table.
    routes: Vec<(usize, u8, bool, u32)>,
    /// Marks that lead to table 77.
    marks: Vec<u32>,
    /// Destination, mark, and the interface whose address they are bound to, if any; IPv6 or not.
    sockets: Vec<(u8, u32, Option<usize>, bool)>,
    /// Which interface goes down.
    down: usize,
}

fn world() -> impl Strategy<Value = World> {
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

fn address(link: usize, host: u8, v6: bool) -> IpAddr {
    let text = if v6 {
        format!("fd00:{link}::{host}")
    } else {
        format!("10.{link}.0.{host}")
    };
    text.parse().expect("an address")
}

/// A destination: on one of the links, or beyond them.
fn destination(number: u8, v6: bool) -> IpAddr {
    match number {
        0..=2 => address(number.into(), 2, v6),
        _ if v6 => format!("fd00:9{number}::9").parse().expect("an address"),
        _ => format!("10.9{number}.0.9").parse().expect("an address"),
    }
}

fn prefix(number: u8, v6: bool) -> String {
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

fn build(world: &World) -> (Namespace, Namespace, Vec<Socket>) {
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
fn leaves(card: &Namespace, socket: &Socket) -> Option<&'static str> {
    let count = || LINKS.map(|link| card.sent(link).expect("it is there").packets);
    let before = count();
    // What was refused tells of an earlier message's end first.
    let _ = socket.take_error();
    let _ = socket.send(b"x");
    let after = count();
    let mut by = (0..LINKS.len()).filter(|&link| after[link] != before[link]);
    by.next().map(|link| LINKS[link])
}

#[test]
fn what_is_foreseen_happens_in_any_network() {
    scenario("foresee property", &[], |_| {
        let config = Config {
            cases: 40,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&world(), |world| {
            let (card, _far, sockets) = build(&world);
            let netns = NetNs::named(card.name()).expect("the card");
            let before: Vec<_> = sockets.iter().map(|socket| leaves(&card, socket)).collect();
            let original = Original::read(&netns).expect("it is readable");
            let owned = survey::owned(&netns).expect("they are readable");
            let down = LINKS[world.down];
            let event = Event::Down(down.to_owned());
            let told = foresee::foresee(&original, &owned, &event).expect("it is copied");
            prop_assert_eq!(&told.uncopied, &Vec::<String>::new());

            card.set_down(down).expect("down");
            for (socket, before) in sockets.iter().zip(before) {
                let cookie = socket.cookie().expect("a cookie");
                let finding = told
                    .findings
                    .iter()
                    .find(|finding| finding.socket_cookie == Some(cookie));
                let after = leaves(&card, socket);
                match finding {
                    Some(finding) => {
                        prop_assert_eq!(Some(&*finding.egress_interface), after, "{:?}", finding)
                    }
                    // It goes on as it did, or sends nothing.
                    None => prop_assert!(
                        after.is_none() || after == before,
                        "{:?} then {:?}",
                        before,
                        after
                    ),
                }
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}
