//! Lets a topology's senders send, one after the other, and takes what the card's drivers counted of each.

mod multipath;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use pinif_lab::{Namespace, patience};

use super::build::Built;
use super::oracle::{self, Expected};
use super::topology::{DISCARD, From, Id, Kind, Protocol, SERVICE, Sender, Target, Topology};
use crate::bench::{Bench, Events, Sent as BySender, received_by, settle, wait_until};

/// What came of all senders, and what must have come of them.
#[derive(Default)]
pub struct Sent {
    pub expected: Expected,
    /// In words, each sender of which something else came.
    pub differences: Vec<String>,
}

/// Packets that softirqs and tasklets hand on come some time later, and no event says that all have come: how often the counters are read.
const COUNTERS: Duration = Duration::from_millis(5);
/// How long they are waited for. What has not come by then is a difference.
const PATIENCE: Duration = Duration::from_secs(3);

pub fn send(bench: &Bench, built: &Built, topology: &Topology, enforced: bool) -> Sent {
    let mut all = Sent::default();
    for sender in &topology.senders {
        let is_multipath = sender.protocol == Protocol::Mptcp;
        if enforced && is_multipath && oracle::keeps_answers_out(topology, sender) {
            continue;
        }
        let (before, received) = (counters(&built.card), received_by(&built.card));
        let subflows = match sender.protocol {
            Protocol::Mptcp => multipath::Counts::of(&built.card, sender),
            _ => multipath::Counts::default(),
        };
        let outcome = run(bench, built, topology, sender, enforced);
        let count = |id: Option<Id>| match (sender.protocol, id) {
            (Protocol::Tcp, Some(id)) => {
                let name = topology.name(id);
                since(&before, &counters(&built.card))
                    .get(name)
                    .copied()
                    .unwrap_or(0)
            }
            _ => sender.count,
        };
        let count = count(oracle::leaves(topology, sender));
        let expected = match sender.protocol {
            Protocol::Mptcp => {
                let (expected, others) =
                    multipath::expected(built, topology, sender, &subflows, enforced);
                let words = in_words(topology, sender);
                let others = others.into_iter();
                all.differences
                    .extend(others.map(|other| format!("{words}\n  {other}")));
                Some(expected)
            }
            _ => oracle::expected(topology, sender, count, enforced),
        };
        if outcome.is_sent != expected.is_some() {
            let must = if expected.is_some() { "take" } else { "refuse" };
            all.differences.push(format!(
                "{}\n  the kernel must {must} them: {}",
                in_words(topology, sender),
                outcome.words
            ));
            continue;
        }
        let Some(expected) = expected else { continue };
        let mut kept_out = expected.findings.keys();
        let is_kept_out = kept_out.any(|key| key.kind == "ingress-escape" && key.dropped);
        let arrived = if sender.from == From::Card || is_kept_out {
            0
        } else {
            count
        };
        let start = Instant::now();
        let events = Events::every(COUNTERS);
        wait_until("the drivers have sent them", &events, || {
            let is_late = start.elapsed() > patience(PATIENCE);
            let sent = since(&before, &counters(&built.card));
            let is_sent = |(name, number): (&String, &u64)| sent.get(name) >= Some(number);
            let is_received = received_by(&built.card) >= received + arrived;
            is_late || (is_received && expected.drivers.iter().all(is_sent))
        });
        let drivers = since(&before, &counters(&built.card));
        if drivers != expected.drivers {
            all.differences.push(format!(
                "{}\n  the drivers must send {:?}, and sent {drivers:?}",
                in_words(topology, sender),
                expected.drivers
            ));
        }
        all.expected.add(expected);
    }
    // What a softirq has in work is over after it (membarrier(2)).
    // SAFETY: the call takes numbers alone.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    all
}

/// Whether the kernel took all that a sender gave it, and what it said.
struct Outcome {
    is_sent: bool,
    words: String,
}

fn run(
    bench: &Bench,
    built: &Built,
    topology: &Topology,
    sender: &Sender,
    enforced: bool,
) -> Outcome {
    let sent = match sender.protocol {
        Protocol::Mptcp => multipath::connect(bench, built, topology, sender, enforced),
        _ => give(bench, built, topology, sender),
    };
    // What is dropped is refused, at the cgroup or as by a full queue: it was sent as far as routing goes.
    let refused = |error| sent.refused.get(error).copied().unwrap_or(0);
    let dropped = refused("EPERM") + refused("ENOBUFS");
    let is_sent = sent.sent + dropped == sender.count;
    assert!(
        is_sent || sent.sent + dropped == 0,
        "all of them, or none: {sent:?} of {sender:?}"
    );
    Outcome {
        is_sent,
        words: format!("{sent:?}"),
    }
}

/// Lets it send what it has.
fn give(bench: &Bench, built: &Built, topology: &Topology, sender: &Sender) -> BySender {
    let arguments = arguments(topology, sender);
    let server = (sender.protocol == Protocol::Tcp).then(|| {
        let Target::OnLink(id) = sender.to else {
            panic!("a connection is made to a host on the link")
        };
        let leg = match topology.kind(id) {
            Kind::MacVlan(over) => *over,
            _ => id,
        };
        let far = built.host(topology, leg);
        let at = topology.destination(sender);
        let at = std::net::SocketAddr::new(at, SERVICE);
        let mut server = bench.far_sender(far, &format!("tcp --listen {at} --close last"));
        server.wait_for("ready").go();
        (server, far)
    });
    let sent = match sender.from {
        From::Card => bench.sender_in(&built.card, &arguments),
        From::Container => {
            let container = built.container.as_ref().expect("there is one");
            bench.far_sender(container, &arguments)
        }
        From::Far(leg) => bench.far_sender(built.host(topology, leg), &arguments),
    }
    .finish();
    if let Some((server, far)) = server {
        server.finish();
        settle([&built.card, far]);
    }
    sent
}

fn arguments(topology: &Topology, sender: &Sender) -> String {
    let to = topology.destination(sender);
    let any = if sender.v6 { "::" } else { "0.0.0.0" };
    let local = sender.source.map(|id| {
        let net = topology.devices[id].net.expect("it has addresses");
        super::topology::address(net, 1, sender.v6)
    });
    let mut text = match sender.protocol {
        Protocol::Udp => {
            let local = local.unwrap_or_else(|| any.parse().expect("an address"));
            let local = std::net::SocketAddr::new(local, sender.port);
            let to = std::net::SocketAddr::new(to, DISCARD);
            format!("udp --to {to} --bind {local}")
        }
        Protocol::Raw => format!("raw --to {to}"),
        Protocol::Ping => format!("ping --to {to}"),
        Protocol::Tcp | Protocol::Mptcp => {
            let (option, port) = match sender.protocol {
                Protocol::Mptcp => ("--mptcp ", sender.port),
                _ => ("", SERVICE),
            };
            let to = std::net::SocketAddr::new(to, port);
            return match sender.bound {
                Some(id) => format!("tcp {option}--to {to} --bind-device {}", topology.name(id)),
                None => format!("tcp {option}--to {to}"),
            };
        }
    };
    if let Some(local) = local.filter(|_| sender.protocol != Protocol::Udp) {
        text += &format!(" --bind {local}");
    }
    if let Some(id) = sender.bound {
        text += &format!(" --bind-device {}", topology.name(id));
    }
    if let Some(id) = sender.names {
        let option = if sender.v6 { "scope" } else { "pktinfo" };
        text += &format!(" --{option} {}", topology.name(id));
    }
    text + &format!(" --count {}", sender.count)
}

/// A sender as a failure prints it.
pub fn in_words(topology: &Topology, sender: &Sender) -> String {
    format!("{:?}: {}", sender.from, arguments(topology, sender))
}

/// What each device of a namespace has sent.
fn counters(namespace: &Namespace) -> BTreeMap<String, u64> {
    const PACKETS_SENT: usize = 9;
    let text = namespace.run(|| fs::read_to_string("/proc/thread-self/net/dev"));
    let text = text.expect("the namespace").expect("/proc is mounted");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let sent = lines.map(|(name, numbers)| {
        let number = numbers.split_whitespace().nth(PACKETS_SENT);
        let number = number.and_then(|number| number.parse().ok());
        (name.trim().to_owned(), number.expect("a number"))
    });
    sent.collect()
}

fn since(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = after
        .iter()
        .map(|(name, number)| (name.clone(), number - before[name]));
    grown.filter(|(_, number)| *number > 0).collect()
}
