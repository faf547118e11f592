//! What one packet is on one device: docs/kinds, docs/policy.md, docs/enforce.md.

use std::collections::BTreeSet;

use super::layers::{carries, leads_nowhere, zones};
use crate::random::topology::{
    CONTAINER, From, Id, Prefix, Protocol, Rule, Sender, Target, Topology,
};

/// Who a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Program,
    /// By which device it came in, and its protocol.
    Forwarded(String, String),
    /// None that any of these packets can be about.
    Other(String),
}

/// How a packet is known on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has its socket.
    Socket,
    /// It has none, and is a socket's all the same: a copy.
    Copy,
    /// It is somebody's whom the card does not know; the device that it came in by, if any.
    Forwarded(Option<Id>),
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub bound: Option<Id>,
    /// Kind and severity; contained where there is none.
    pub finding: Option<(&'static str, &'static str)>,
    /// The rule that this kind is of.
    pub rule: Option<usize>,
    /// A rule allows it.
    pub is_allowed: bool,
    /// Under `--enforce`, it would be dropped.
    pub is_leak: bool,
}

/// The verdict on a packet of a sender that leaves by `egress`. `source` is the device whose address it has, if it is one of the card's.
pub fn verdict(
    topology: &Topology,
    sender: &Sender,
    known: Known,
    source: Option<Id>,
    egress: Id,
) -> Verdict {
    let bound = match known {
        Known::Socket | Known::Copy => sender.bound,
        Known::Forwarded(_) => None,
    };
    let contained = Verdict {
        bound,
        finding: None,
        rule: None,
        is_allowed: false,
        is_leak: false,
    };
    if leads_nowhere(topology, egress) {
        return contained;
    }
    // From the first to the last of the table of kinds; the first of the gravest counts.
    let mut all: Vec<(&str, &str)> = Vec::new();
    if bound.is_some_and(|bound| !carries(topology, bound, egress)) {
        let kind = match known {
            Known::Socket => "device-escape",
            _ => "copy-escape",
        };
        all.push((kind, "leak"));
    }
    if bound.is_none()
        && let Some(owner) = source
        && !carries(topology, owner, egress)
    {
        all.push((
            "address-escape",
            severity_of_address(topology, owner, egress),
        ));
    }
    let rule = first_rule(topology, sender);
    if rule.is_some_and(|(_, rule)| !lets(topology, rule, egress)) {
        all.push(("policy-escape", "leak"));
    }
    let is_left_to_routes = known == Known::Socket && bound.is_none();
    if rule.is_some_and(|(_, rule)| rule.pinned) && is_left_to_routes {
        all.push(("unpinned", "risk"));
    }
    if is_crossed(topology, sender, known) {
        all.push(("crossed-bind", "note"));
    }
    if rule.is_some_and(|(_, rule)| rule.allows) {
        return Verdict {
            is_allowed: true,
            ..contained
        };
    }
    let gravest = ["leak", "risk", "note"]
        .into_iter()
        .find_map(|severity| all.iter().copied().find(|(_, of_it)| *of_it == severity));
    let of_rule = |(kind, _): &(&str, &str)| matches!(*kind, "policy-escape" | "unpinned");
    Verdict {
        finding: gravest,
        rule: gravest.filter(of_rule).and(rule).map(|(number, _)| number),
        // Each leak is dropped, also beside another kind.
        is_leak: all.iter().any(|(_, severity)| *severity == "leak"),
        ..contained
    }
}

/// A leak where the address is of a contained zone, and the packet leaves that.
fn severity_of_address(topology: &Topology, owner: Id, egress: Id) -> &'static str {
    let is_contained = |zone: &usize| topology.policy.zones[*zone].contained;
    let of_address: BTreeSet<_> = zones(topology, owner)
        .into_iter()
        .filter(is_contained)
        .collect();
    let leaves = of_address.is_disjoint(&zones(topology, egress));
    match !of_address.is_empty() && leaves {
        true => "leak",
        false => "risk",
    }
}

/// Bound to a device, and to the address of another that has nothing to do with it. Of raw and ping sockets pinif does not
/// know `bind()`: no hook runs for them (`raw_bind`, `ping_bind`).
fn is_crossed(topology: &Topology, sender: &Sender, known: Known) -> bool {
    let (Some(bound), Some(owner)) = (sender.bound, sender.source) else {
        return false;
    };
    known == Known::Socket
        && matches!(sender.protocol, Protocol::Udp | Protocol::Tcp)
        && !carries(topology, bound, owner)
        && !carries(topology, owner, bound)
}

/// The first rule for where it is sent to.
fn first_rule<'a>(topology: &'a Topology, sender: &Sender) -> Option<(usize, &'a Rule)> {
    let net = match sender.to {
        Target::OnLink(id) | Target::Local(id) => topology.devices[id].net,
        Target::Beyond(number) => Some(number),
        Target::World | Target::Group => None,
    }?;
    rule_for(topology, net)
}

/// The first rule for a network.
fn rule_for(topology: &Topology, net: u8) -> Option<(usize, &Rule)> {
    let mut rules = topology.policy.rules.iter().enumerate();
    rules.find(|(_, rule)| covers(rule, net))
}

fn covers(rule: &Rule, net: u8) -> bool {
    rule.to
        .iter()
        .any(|prefix| [Prefix::Net(net), Prefix::Inside].contains(prefix))
}

/// Whether the rule lets traffic leave by a device.
fn lets(topology: &Topology, rule: &Rule, device: Id) -> bool {
    let zones = zones(topology, device);
    rule.only_via.is_empty() || rule.only_via.iter().any(|zone| zones.contains(zone))
}

/// Whether the policy lets the answers to a sender arrive by a device, too.
pub fn admits(topology: &Topology, sender: &Sender, device: Id) -> bool {
    broken_by_answer(topology, sender, device).is_none()
}

/// The rule that the answers to a sender break where they arrive by a device.
pub fn broken_by_answer(topology: &Topology, sender: &Sender, device: Id) -> Option<usize> {
    let (number, rule) = first_rule(topology, sender)?;
    (!lets(topology, rule, device)).then_some(number)
}

/// The rule that is broken by what arrives by a leg from a host on its link, to which the answer would leave elsewhere.
pub fn broken_by_arrival(topology: &Topology, leg: Id) -> Option<usize> {
    let (number, rule) = rule_for(topology, topology.devices[leg].net?)?;
    (!lets(topology, rule, leg)).then_some(number)
}

/// Who the finding is about.
pub fn subject(topology: &Topology, sender: &Sender, known: Known) -> Subject {
    match known {
        Known::Socket | Known::Copy => Subject::Program,
        Known::Forwarded(by) => {
            let by = by.map_or("", |by| topology.name(by));
            Subject::Forwarded(by.to_owned(), protocol(sender).to_owned())
        }
    }
}

fn protocol(sender: &Sender) -> &'static str {
    match sender.protocol {
        Protocol::Udp => "udp",
        Protocol::Tcp | Protocol::Mptcp => "tcp",
        Protocol::Raw => "253",
        Protocol::Ping if sender.v6 => "icmpv6",
        Protocol::Ping => "icmp",
    }
}

/// The device whose address a sender's packets have, when they leave by `by` first.
pub fn source(topology: &Topology, sender: &Sender, by: Id) -> Option<Id> {
    let is_translated = sender.from == From::Container
        && topology.masquerades
        && !sender.v6
        && topology.devices[by].net != Some(CONTAINER);
    // `IP_PKTINFO` that names no source takes the bound one away (`ip_cmsg_send`).
    let is_lost = sender.names.is_some() && !sender.v6;
    match sender.from {
        From::Card => Some(sender.source.filter(|_| !is_lost).unwrap_or(by)),
        From::Container if is_translated => Some(by),
        From::Container | From::Far(_) => None,
    }
}
