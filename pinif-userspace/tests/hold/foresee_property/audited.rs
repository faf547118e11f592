//! What is foreseen is what an audit reports then.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;

use ipnet::IpNet;
use nix::sys::signal::Signal;
use pinif_ebpf::verdict::{Kind, Severity};
use pinif_lab::Namespace;
use pinif_userspace::findings::line::FindingLine;
use pinif_userspace::foresee::{self, Original};
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::policy::Policy;
use pinif_userspace::survey;
use proptest::prelude::*;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::NamedTempFile;

use super::world::{LINKS, World, build, down, prefix, runner, world};
use crate::bench::{Bench, Pinif, scenario};

/// A random policy: the zones' interfaces and whether they are contained, and rules.
#[derive(Clone, Debug)]
struct Rules {
    zones: Vec<(Vec<usize>, bool)>,
    rules: Vec<RuleOf>,
}

/// Destination, port, user, zones, whether pinned; and whether it is an exception, which demands nothing.
type RuleOf = (u8, Option<u16>, Option<u32>, Vec<usize>, bool, bool);

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
        proptest::bool::weighted(0.2),
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
        for (number, (to, port, user, zones, pinned, allows)) in self.rules.iter().enumerate() {
            let to = [prefix(*to, false), prefix(*to, true)];
            text += &format!("[[rule]]\nname = \"r{number}\"\ndestination = {to:?}\n");
            if let Some(port) = port {
                text += &format!("port = {port}\n");
            }
            if let Some(user) = user {
                text += &format!("user = {user}\n");
            }
            if *allows {
                text += "action = \"allow\"\n";
                continue;
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

/// What an audit says of each socket: the severity, and which kind, rule and interface.
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
        // What was refused reports an earlier message's end first.
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
        if line["direction"] != "out" {
            continue;
        }
        assert_eq!(line["sockets"]["more"], false, "{line}");
        // All are of one program: its finding has them all.
        for socket in line["sockets"]["samples"].as_array().expect("a list") {
            let cookie = socket["socket_cookie"].as_u64().expect("a cookie");
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

#[test]
fn what_is_foreseen_is_what_an_audit_reports_then() {
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
                for finding in all[0].findings.iter().map(FindingLine::from) {
                    foreseen.insert(finding.socket_cookie.expect("a cookie"), finding);
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
                let predicted = foreseen.get(&cookie).map(|finding| {
                    let kind = Reverse(place(finding.kind.name()));
                    (kind, &finding.rule, &finding.egress_interface)
                });
                let worst = |verdicts: &Verdicts| {
                    let verdict = verdicts.get(&cookie);
                    verdict.map(|(severity, kind, ..)| (*severity, *kind))
                };
                let is_worse = worst(&after) > worst(&before)
                    && worst(&after).is_some_and(|(severity, _)| severity >= Severity::Risk);
                let happened = then
                    .filter(|_| is_worse)
                    .map(|(_, kind, rule, egress)| (*kind, rule, egress));
                prop_assert_eq!(
                    predicted,
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
