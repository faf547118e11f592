//! What of learned traffic would be a finding under a policy, by the verdict that the programs come to.

use std::collections::BTreeMap;

use pinif_ebpf::{
    key::{Address, IfIndex},
    packet::Packet,
    sighting::Origin,
    verdict::{Kind, Severity, Traffic as Judged},
};

use super::{
    network::networks,
    page::LearnedPage,
    traffic::{self, Amount, Traffic},
};
use crate::{
    host::network::Network,
    policy::{
        Policy,
        evaluate::{FileId, InForce, Sender, Surroundings, rule_of},
    },
};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// What would be findings, the gravest first.
    pub broken: Vec<Broken>,
    /// How much was judged.
    pub judged: Amount,
    /// How many entries could not be: their interface is gone.
    pub not_judged: u64,
}

/// What would be a finding: one thing to fix.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The kind.
    pub kind: Kind,
    /// How grave it is.
    pub severity: Severity,
    /// The rule's name, where the kind is about one.
    pub rule: Option<String>,
    /// The traffic, the first of each destination and service.
    pub traffic: Vec<Traffic>,
    /// How much of it there is.
    pub amount: Amount,
}

/// Judges what was learned by a policy.
pub fn tried(learned: &LearnedPage, policy: &Policy) -> Trial {
    let in_force = InForce::by_path(policy);
    let networks = networks(&learned.namespaces);
    let surroundings: BTreeMap<&str, (Surroundings, &Network)> = networks
        .iter()
        .map(|(name, network)| (*name, (Surroundings::of(network, policy), network)))
        .collect();
    let mut trial = Trial::default();
    let mut broken: BTreeMap<_, Broken> = BTreeMap::new();
    for traffic in &learned.traffic {
        let Some((surroundings, judged)) =
            surroundings
                .get(traffic.netns.as_str())
                .and_then(|(surroundings, network)| {
                    Some((surroundings, interfaces(traffic, network)?))
                })
        else {
            trial.not_judged += 1;
            continue;
        };
        trial.judged += traffic;
        let packet = packet(traffic);
        let judged = Judged {
            packet: Some(&packet),
            ..judged
        };
        let decision = in_force.judge(&judged, &sender(traffic), surroundings);
        let Some((kind, severity)) = decision.finding() else {
            continue;
        };
        let is_of_rule = matches!(kind, Kind::PolicyEscape | Kind::Unpinned);
        let rule = rule_of(&decision).filter(|_| is_of_rule);
        let rule = rule.and_then(|rule| policy.rules.get(rule));
        let rule = rule.map(|rule| rule.name.clone());
        let key = (
            std::cmp::Reverse(severity),
            kind,
            rule.clone(),
            traffic.program().to_owned(),
            (traffic.netns.clone(), traffic.uid, traffic.cgroup.clone()),
            (
                traffic.bound_device.clone(),
                traffic.egress_interface.clone(),
            ),
        );
        let one = broken.entry(key).or_insert_with(|| Broken {
            kind,
            severity,
            rule,
            traffic: Vec::new(),
            amount: Amount::default(),
        });
        one.amount += traffic;
        one.traffic.push(traffic.clone());
    }
    trial.broken = broken.into_values().collect();
    trial
}

/// What the verdict looks at beside the packet; none where an interface is not there any more.
fn interfaces(traffic: &Traffic, network: &Network) -> Option<Judged<'static>> {
    let index = |name: &str| Some(network.links.by_name(name)?.index);
    Some(Judged {
        origin: match traffic.origin {
            traffic::Sender::Process => Origin::Process,
            traffic::Sender::Kernel => Origin::Kernel,
            traffic::Sender::Socketless => Origin::None,
        },
        bound: match &traffic.bound_device {
            Some(name) => index(name)?,
            None => IfIndex::NONE,
        },
        names_interface: traffic.names_interface,
        // Which of the addresses that sockets send from were named by bind() is not learned.
        bound_address: None,
        packet: None,
        egress: index(&traffic.egress_interface)?,
        heard: IfIndex::NONE,
    })
}

/// The packet that stands for the traffic: a port that names no service is zero.
fn packet(traffic: &Traffic) -> Packet {
    let port = traffic.port.unwrap_or(0);
    let (source_port, destination_port) = if traffic.serves { (port, 0) } else { (0, port) };
    Packet {
        source: traffic.source.map_or(Address::UNSPECIFIED, Address::from),
        destination: traffic.destination.into(),
        source_port,
        destination_port,
        protocol: traffic.protocol,
        later_fragment: false,
        icmp_type: 0,
        tos: 0,
    }
}

fn sender(traffic: &Traffic) -> Sender {
    Sender {
        user: traffic.uid,
        cgroup: traffic.cgroup.clone(),
        executable: traffic
            .exe
            .as_deref()
            .map(|exe| FileId::named(exe.as_ref())),
    }
}
