//! What `pinif foresee` tells is what happens, in any network and under any policy.

mod bench;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use ipnet::IpNet;
use nix::sys::signal::Signal;
use pinif_ebpf::verdict::{Kind, Severity};
use pinif_userspace::audit::finding::Finding;
use pinif_userspace::foresee::{self, Event, Original};
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::lab::{Namespace, Route, Rule};
use pinif_userspace::policy::Policy;
use pinif_userspace::survey;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::NamedTempFile;

use bench::{Bench, Pinif, scenario};

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

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        // Each case takes a while, and tells enough as it is.
        max_shrink_iters: 0,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn what_is_foreseen_happens_in_any_network() {
    scenario("foresee property", &[], |_| {
        let mut runner = runner(40);
        let outcome = runner.run(&world(), |world| {
            let (card, _far, sockets) = build(&world);
            let netns = NetNs::named(card.name()).expect("the card");
            let before: Vec<_> = sockets.iter().map(|socket| leaves(&card, socket)).collect();
            let original = Original::read(&netns).expect("it is readable");
            let owned = survey::owned(&netns).expect("they are readable");
            let down = LINKS[world.down];
            let event = self::down(down);
            let empty = Policy::default();
            let all = foresee::foresee(&original, &empty, &owned, &[event]).expect("it is copied");
            let told = &all[0];
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

#[test]
fn one_scratch_namespace_after_the_other_is_like_new() {
    scenario("foresee turns", &[], |_| {
        let mut runner = runner(20);
        let outcome = runner.run(&world(), |world| {
            let (card, _far, _sockets) = build(&world);
            let netns = NetNs::named(card.name()).expect("the card");
            let original = Original::read(&netns).expect("it is readable");
            let owned = survey::owned(&netns).expect("they are readable");
            let policy = Policy::default();
            let events: Vec<_> = LINKS.iter().chain(&LINKS).copied().map(down).collect();
            let told = |events: &[Event]| {
                let all = foresee::foresee(&original, &policy, &owned, events).expect("foreseen");
                let findings = all.into_iter().map(|foreseen| foreseen.findings);
                let brief = findings.map(|findings| {
                    let brief =
                        |finding: Finding| (finding.id, finding.egress_interface, finding.cause);
                    findings.into_iter().map(brief).collect::<Vec<_>>()
                });
                brief.collect::<Vec<_>>()
            };
            let alone: Vec<_> = events
                .iter()
                .flat_map(|event| told(std::slice::from_ref(event)))
                .collect();
            prop_assert_eq!(told(&events), alone);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// A random policy: the zones' interfaces and whether they are contained, and rules.
#[derive(Clone, Debug)]
struct Rules {
    zones: Vec<(Vec<usize>, bool)>,
    rules: Vec<RuleOf>,
}

/// Destination, port, user, zones, whether pinned.
type RuleOf = (u8, Option<u16>, Option<u32>, Vec<usize>, bool);

const USERS: [u32; 2] = [0, 4711];

fn rules() -> impl Strategy<Value = Rules> {
    let zone = (
        proptest::sample::subsequence(vec![0, 1, 2], 1..3usize),
        any::<bool>(),
    );
    let rule = (
        0..6u8,
        proptest::option::of(9..11u16),
        proptest::option::of(proptest::sample::select(USERS.to_vec())),
        proptest::sample::subsequence(vec![0, 1], 0..3usize),
        any::<bool>(),
    );
    (
        proptest::collection::vec(zone, 2),
        proptest::collection::vec(rule, 0..5),
    )
        .prop_map(|(zones, rules)| Rules { zones, rules })
}

impl Rules {
    fn text(&self) -> String {
        let mut text = String::new();
        for (number, (links, contained)) in self.zones.iter().enumerate() {
            let links: Vec<_> = links.iter().map(|&link| LINKS[link]).collect();
            text += &format!("[zone.z{number}]\ninterfaces = {links:?}\ncontained = {contained}\n");
        }
        for (number, (to, port, user, zones, pinned)) in self.rules.iter().enumerate() {
            let to = [prefix(*to, false), prefix(*to, true)];
            text += &format!("[[rule]]\nname = \"r{number}\"\ndestination = {to:?}\n");
            if let Some(port) = port {
                text += &format!("port = {port}\n");
            }
            if let Some(user) = user {
                text += &format!("user = {user}\n");
            }
            let zones: Vec<_> = zones.iter().map(|zone| format!("z{zone}")).collect();
            if !zones.is_empty() {
                text += &format!("only_via = {zones:?}\n");
            }
            // A rule must demand something.
            text += &format!("pinned = {}\n", *pinned || zones.is_empty());
        }
        text
    }
}

/// What an audit says of each socket: how grave, and which kind, rule and interface.
type Verdicts = BTreeMap<u64, (Severity, Reverse<usize>, Option<String>, String)>;

/// Lets each socket of each card send one message, under a real audit.
fn audited(bench: &Bench, policy: &NamedTempFile, cards: &[Card]) -> Verdicts {
    let mut command = bench.auditor().into_command();
    command.args(["--format", "json", "--policy"]);
    command.arg(policy.path());
    for card in cards {
        command.args(["--netns", card.card.name()]);
    }
    let mut pinif = Pinif::start(command);
    pinif.wait_for_line("it was ready", |line| line.contains("\"ready\""));
    for (socket, to) in cards.iter().flat_map(|card| &card.sockets) {
        // What was refused tells of an earlier message's end first.
        let _ = socket.take_error();
        // Where it cannot be sent, nothing leaves.
        let _ = match to {
            Some(to) => socket.send_to(b"x", &(*to).into()),
            None => socket.send(b"x"),
        };
    }
    pinif.signal(Signal::SIGTERM);
    let ended = pinif.end();
    let mut verdicts = Verdicts::new();
    for line in &ended.stdout {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        let Some(cookie) = line["socket_cookie"].as_u64() else {
            continue;
        };
        if line["direction"] == "out" {
            let kind = text("kind").expect("a kind");
            let severity = text("severity").expect("a severity");
            verdicts.insert(
                cookie,
                (
                    named(
                        &[Severity::Note, Severity::Risk, Severity::Leak],
                        &severity,
                        Severity::name,
                    ),
                    Reverse(place(&kind)),
                    text("rule"),
                    text("egress_interface").expect("an interface"),
                ),
            );
        }
    }
    verdicts
}

fn named<T: Copy>(all: &[T], name: &str, of: fn(T) -> &'static str) -> T {
    let mut all = all.iter().copied();
    all.find(|one| of(*one) == name).expect("a known name")
}

/// The place of a kind in the table.
fn place(name: &str) -> usize {
    let mut kinds = Kind::ALL.iter();
    kinds.position(|kind| kind.name() == name).expect("a kind")
}

/// A random card, and what its sockets send to where they are not connected.
struct Card {
    card: Namespace,
    _far: Namespace,
    sockets: Vec<(Socket, Option<SocketAddr>)>,
    down: usize,
}

/// Sockets that are connected, some pinned and some another user's, and one that is not.
fn card(world: &World) -> Card {
    let (card, far, sockets) = build(world);
    let mut sockets: Vec<_> = sockets.into_iter().map(|socket| (socket, None)).collect();
    for (number, (socket, _)) in sockets.iter().enumerate() {
        let (pinned, user) = (number % 4 == 3, USERS[number % 2]);
        nix::unistd::fchown(socket, Some(user.into()), None).expect("another user");
        if pinned {
            let device = LINKS[number % 3].as_bytes();
            socket.bind_device(Some(device)).expect("a device");
        }
    }
    let loose = card.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        let any: SocketAddr = "0.0.0.0:7001".parse().expect("an address");
        socket.bind(&any.into()).expect("a port");
        socket
    });
    sockets.push((loose.expect("the card"), None));
    Card {
        card,
        _far: far,
        sockets,
        down: world.down,
    }
}

fn down(name: &str) -> Event {
    Event::Down(name.to_owned())
}

#[test]
fn what_is_foreseen_is_what_an_audit_tells_then() {
    scenario("foresee audited", &[], |bench| {
        let mut runner = runner(6);
        let worlds = proptest::collection::vec(world(), 4);
        let outcome = runner.run(&(worlds, rules()), |(worlds, rules)| {
            let text = rules.text();
            let policy = Policy::parse(&text, "random").expect("a policy");
            let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
            file.write_all(text.as_bytes()).expect("it is written");
            let mut cards: Vec<_> = worlds.iter().map(card).collect();
            let before = audited(bench, &file, &cards);
            let mut foreseen = BTreeMap::new();
            for card in &mut cards {
                let netns = NetNs::named(card.card.name()).expect("the card");
                let original = Original::read(&netns).expect("it is readable");
                let owned = survey::owned(&netns).expect("they are readable");
                let event = down(LINKS[card.down]);
                let all = foresee::foresee(&original, &policy, &owned, &[event]).expect("foreseen");
                prop_assert_eq!(&all[0].uncopied, &Vec::<String>::new());
                for finding in &all[0].findings {
                    let cookie = finding.socket_cookie.expect("a cookie");
                    foreseen.insert(cookie, finding.clone());
                }
                card.card.set_down(LINKS[card.down]).expect("down");
                // What is not connected sends where that would be worst.
                let (socket, to) = card.sockets.last_mut().expect("there is one");
                let finding = foreseen.get(&socket.cookie().expect("a cookie"));
                *to = finding.map(|finding| end(&finding.destination));
            }
            let after = audited(bench, &file, &cards);
            for (socket, _) in cards.iter().flat_map(|card| &card.sockets) {
                let cookie = socket.cookie().expect("a cookie");
                let then = after.get(&cookie);
                let told = foreseen.get(&cookie).map(|finding| {
                    let kind = Reverse(place(finding.kind.name()));
                    (kind, &finding.rule, &finding.egress_interface)
                });
                let grave = |verdicts: &Verdicts| {
                    let verdict = verdicts.get(&cookie);
                    verdict.map(|(severity, kind, ..)| (*severity, *kind))
                };
                let is_worse = grave(&after) > grave(&before)
                    && grave(&after).is_some_and(|(severity, _)| severity >= Severity::Risk);
                let happened = then
                    .filter(|_| is_worse)
                    .map(|(_, kind, rule, egress)| (*kind, rule, egress));
                prop_assert_eq!(
                    told,
                    happened,
                    "{:?} of {:?} under {}",
                    socket,
                    foreseen.get(&cookie),
                    text
                );
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// The address that is looked at for a network, as a finding's destination has it.
fn end(destination: &str) -> SocketAddr {
    let mut words = destination.split(" port ");
    let network: IpNet = words
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a network");
    let host = match network.prefix_len() {
        0 => survey::NOWHERE_4.into(),
        _ => network.hosts().nth(1).unwrap_or(network.addr()),
    };
    let port = words.next().map_or(9, |port| port.parse().expect("a port"));
    SocketAddr::new(host, port)
}

/// How long it takes is told on standard error: `cargo nextest run --test foresee_property many --no-capture`.
#[test]
fn many_interfaces_and_sockets_are_foreseen_in_turn() {
    scenario("foresee many", &[], |_| {
        const LINKS: u8 = 100;
        const SOCKETS: u16 = 1000;
        let card = Namespace::new("card").expect("a namespace");
        let far = Namespace::new("far").expect("a namespace");
        for number in 0..LINKS {
            let name = format!("eth{number}");
            card.veth(&name, &far, &name, number).expect("a link");
            far.set_up(&name).expect("up");
            card.set_up(&name).expect("up");
            card.wait_until_operational(&name).expect("operational");
            let address = format!("10.0.{number}.1/24").parse().expect("a prefix");
            card.add_address(&name, address).expect("an address");
        }
        let everything = "0.0.0.0/0".parse().expect("a prefix");
        let gateway = "10.0.99.2".parse().expect("an address");
        card.add_route(Route::new(everything, "eth99").via(gateway))
            .expect("a route");
        let sockets = card.run(|| {
            let sockets = (0..SOCKETS).map(|number| {
                let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
                // Half of them are not connected, and may send everywhere.
                if number % 2 == 0 {
                    let link = number / 2 % u16::from(LINKS);
                    let to = format!("10.0.{link}.2:9");
                    socket.connect(to).expect("a route");
                }
                socket
            });
            sockets.collect::<Vec<_>>()
        });
        let sockets = sockets.expect("the card is there");
        let netns = NetNs::named(card.name()).expect("the card");
        let rule = "[zone.front]\ninterfaces = [\"eth99\"]\n[zone.all]\ninterfaces = [\"*\"]\n\
            [[rule]]\nname = \"inside\"\ndestination = \"10.0.0.0/16\"\nonly_via = \"inside\"\n\
            [zone.inside]\ninterfaces = [\"eth[0-8]*\", \"eth9\", \"eth9[0-8]\"]\n";
        let policy = Policy::parse(rule, "many").expect("a policy");
        let start = Instant::now();
        let original = Original::read(&netns).expect("it is readable");
        let owned = survey::owned(&netns).expect("they are readable");
        let events = foresee::every_interface(&original.network);
        let all = foresee::foresee(&original, &policy, &owned, &events).expect("foreseen");
        eprintln!(
            "{} events, {} sockets: {:.1?}",
            events.len(),
            owned.len(),
            start.elapsed()
        );
        assert_eq!((events.len(), owned.len()), (100, sockets.len()));
        for foreseen in &all {
            let escapes = foreseen.findings.iter();
            let escapes = escapes
                .filter(|finding| finding.kind == Kind::PolicyEscape)
                .count();
            // The five that are connected there, and those that are connected nowhere. Without eth99 nothing leads outside.
            let expected = match &foreseen.event {
                Event::Down(name) if name == "eth99" => 0,
                _ => 5 + SOCKETS as usize / 2,
            };
            assert_eq!(escapes, expected, "{}", foreseen.event);
        }
    });
}
