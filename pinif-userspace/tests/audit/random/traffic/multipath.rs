//! A connection of Multipath TCP: it is closed once all its subflows are open, or have been tried.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::Instant;

use pinif_lab::{Namespace, patience};
use serde_json::Value;

use super::{COUNTERS, PATIENCE, arguments};
use crate::bench::{Bench, Events, Sent, settle, wait_until};
use crate::random::build::Built;
use crate::random::oracle::{self, Expected, Subflow};
use crate::random::topology::{Sender, Target, Topology};

/// The device and the two ends of a subflow.
type Flow = (String, IpAddr, IpAddr);

/// Less than a segment: nftables and the drivers count the same then.
const BYTES: u64 = 1000;

/// Connects, sends, waits for the subflows, and closes.
pub fn connect(
    bench: &Bench,
    built: &Built,
    topology: &Topology,
    sender: &Sender,
    enforced: bool,
) -> Sent {
    let Target::OnLink(on) = sender.to else {
        panic!("a connection is made to a host on the link");
    };
    let far = built.host(topology, topology.cable(on).expect("it is served"));
    let any = if sender.v6 { "[::]" } else { "0.0.0.0" };
    let port = sender.port;
    let mut server = bench.far_sender(
        far,
        &format!("tcp --mptcp --listen {any}:{port} --bytes {BYTES} --pause-sent --close last"),
    );
    server.wait_for("ready").go();
    let before = Opened::in_namespace(&built.card);
    let more = format!(" --bytes {BYTES} --pause-sent");
    let mut client = bench.sender_in(&built.card, &(arguments(topology, sender) + &more));
    client.wait_for("sent");
    server.wait_for("received");
    let subflows = oracle::subflows(topology, sender);
    let is_made = |subflow: &&Subflow| oracle::is_made(topology, subflow, enforced);
    let made = subflows.iter().filter(is_made).count() as u64;
    let begun = before.begun + subflows.len() as u64;
    let start = Instant::now();
    // No event says that a subflow is established.
    wait_until("there are all subflows", &Events::every(COUNTERS), || {
        let is_late = start.elapsed() > patience(PATIENCE);
        let (card, host) = (Opened::in_namespace(&built.card), Opened::in_namespace(far));
        let are_open = card.begun >= begun && [card.open, host.open] == [made; 2];
        is_late || are_open
    });
    server.go();
    client.go();
    let sent = client.finish();
    server.finish();
    settle([&built.card, far]);
    sent
}

/// How many TCP connections a namespace has, of which this one is the only one.
struct Opened {
    /// Those that it began, ever: it has sent the first packet of each (`ActiveOpens`, `tcp_connect`).
    begun: u64,
    /// Those that are established now (`CurrEstab`).
    open: u64,
}

impl Opened {
    /// By RFC 4022's counters: to list connections takes the kernel long.
    fn in_namespace(namespace: &Namespace) -> Self {
        let text = namespace.run(|| fs::read_to_string("/proc/thread-self/net/snmp"));
        let text = text.expect("the namespace").expect("/proc is mounted");
        let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
        let (names, numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
        let number = |name: &str| {
            let mut columns = names.split(' ').zip(numbers.split(' '));
            let column = columns.find(|(column, _)| *column == name);
            column.expect("it counts them").1.parse().expect("a number")
        };
        Self {
            begun: number("ActiveOpens"),
            open: number("CurrEstab"),
        }
    }
}

/// What is expected of a connection, by what was counted of each subflow. In words, those that must be there and are not, and
/// those that must not.
pub fn expected(
    built: &Built,
    topology: &Topology,
    sender: &Sender,
    before: &Counts,
    enforced: bool,
) -> (Expected, Vec<String>) {
    let counts = Counts::of(&built.card, sender).since(before);
    let Counts { mut sent, answered } = counts;
    let mut all = Expected::default();
    let mut differences = Vec::new();
    for subflow in oracle::subflows(topology, sender) {
        let (local, remote) = (subflow.local, subflow.remote);
        for by in [Some(subflow.by), subflow.last_by].into_iter().flatten() {
            let flow = (topology.name(by).to_owned(), local, remote);
            match sent.remove(&flow) {
                Some(count) => {
                    let expected = oracle::of_packets(topology, &subflow, by, count, enforced);
                    all.add(expected);
                }
                None if by == subflow.by => {
                    differences.push(format!("there must be a subflow {flow:?}"));
                }
                None => (),
            }
        }
        let of_it = |(flow, _): &(&Flow, &u64)| (flow.1, flow.2) == (local, remote);
        let answers = answered.iter().filter(of_it).map(|(_, count)| count).sum();
        all.add(oracle::of_answers(topology, &subflow, answers));
    }
    for (flow, packets) in sent {
        differences.push(format!(
            "there must be no subflow {flow:?}, of {packets} packets"
        ));
    }
    (all, differences)
}

/// The packets of subflows, those that were sent and those that answered them, as nftables counted them.
#[derive(Default)]
pub struct Counts {
    sent: BTreeMap<Flow, u64>,
    answered: BTreeMap<Flow, u64>,
}

impl Counts {
    /// Those until now of the connections to a sender's port.
    pub fn of(card: &Namespace, sender: &Sender) -> Self {
        let family = if sender.v6 { "ip6" } else { "ip" };
        let output = card.run(|| {
            Command::new("nft")
                .args(["-j", "list", "table", family, "subflows"])
                .output()
        });
        let output = output.expect("the card").expect("it is installed");
        let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let objects = listed["nftables"].as_array().expect("a list");
        let set = |name: &str| {
            let mut sets = objects.iter().map(|object| &object["set"]);
            let set = sets.find(|set| set["name"] == name).expect("it was made");
            let elements = set["elem"].as_array().into_iter().flatten();
            elements
                .filter_map(|element| packets(&element["elem"], sender.port))
                .collect()
        };
        Self {
            sent: set("sent"),
            answered: set("answered"),
        }
    }

    fn since(self, before: &Self) -> Self {
        let grown = |all: BTreeMap<Flow, u64>, before: &BTreeMap<Flow, u64>| {
            let all = all.into_iter().map(|(flow, packets)| {
                let of_before = before.get(&flow).copied().unwrap_or(0);
                (flow, packets - of_before)
            });
            all.filter(|(_, packets)| *packets > 0).collect()
        };
        Self {
            sent: grown(self.sent, &before.sent),
            answered: grown(self.answered, &before.answered),
        }
    }
}

/// An element of a set, if it is of connections to this port.
fn packets(element: &Value, to: u16) -> Option<(Flow, u64)> {
    let key = &element["val"]["concat"];
    let text = |place: usize| key[place].as_str().expect("text").to_owned();
    let address = |place: usize| text(place).parse().expect("an address");
    let flow = (text(0), address(1), address(2));
    let packets = element["counter"]["packets"].as_u64().expect("a number");
    (key[3] == to).then_some((flow, packets))
}
