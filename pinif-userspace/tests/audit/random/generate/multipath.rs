//! Multipath TCP in a random topology: cables to one host, endpoints of both sides, and the connections.

use super::{Dice, add};
use crate::random::oracle;
use crate::random::topology::{
    Endpoint, From, How, Id, Kind, Multipath, Prefix, Protocol, Rule, SERVICE, Sender, State,
    Target, Topology, Zone,
};

/// Leads some cables to one host, and sets what subflows may be made.
pub fn choose(topology: &mut Topology, dice: &mut Dice) {
    let is_apart = |leg: Id| {
        // As of a plain connection: an answer is no packet of the connection's that leaves.
        topology.taps.iter().any(|tap| {
            let arriving = matches!(tap.how, How::MirrorArriving | How::ShapeArriving);
            tap.on == leg && (arriving || tap.how == How::Redirect)
        })
    };
    let mut able: Vec<_> = topology
        .ids()
        .filter(|&id| *topology.kind(id) == Kind::Leg(State::Up))
        .filter(|&id| topology.devices[id].net.is_some() && topology.domain(id).is_none())
        .filter(|&id| !is_apart(id))
        .collect();
    let wanted = 2 + dice.below(2);
    let mut cables = Vec::new();
    while cables.len() < wanted {
        let cable = match dice.pick(&able) {
            Some(leg) => leg,
            None => add(topology, "leg", Kind::Leg(State::Up), true),
        };
        able.retain(|&id| id != cable);
        cables.push(cable);
    }
    cables.sort_unstable();
    topology.multipath = Some(Multipath {
        cables,
        v6: dice.chance(35),
        endpoints: Vec::new(),
        announced: Vec::new(),
        accepts: dice.chance(75),
    });
    let served: Vec<_> = topology.served().collect();
    let mut endpoints = Vec::new();
    for of in few(&served, dice) {
        let is_bound = dice.chance(60);
        endpoints.push(Endpoint { of, is_bound });
    }
    let announced = match dice.chance(60) {
        true => few(&served, dice),
        false => Vec::new(),
    };
    if let Some(multipath) = &mut topology.multipath {
        (multipath.endpoints, multipath.announced) = (endpoints, announced);
    }
}

/// The kernel allows eight subflows in all.
fn few(served: &[Id], dice: &mut Dice) -> Vec<Id> {
    let mut chosen = dice.some(served, 60);
    chosen.truncate(3);
    chosen
}

/// Perhaps a rule for the host, before all others, that some of the subflows break.
pub fn rule(topology: &mut Topology, dice: &mut Dice) {
    if dice.chance(60) {
        return;
    }
    let served: Vec<_> = topology.served().collect();
    let zone = Zone {
        devices: dice.some(&served, 60),
        contained: dice.chance(50),
    };
    let to = dice.some(&served, 70).into_iter();
    let rule = Rule {
        to: to
            .filter_map(|id| topology.devices[id].net.map(Prefix::Net))
            .collect(),
        only_via: vec![topology.policy.zones.len()],
        pinned: dice.chance(20),
        allows: false,
    };
    topology.policy.zones.push(zone);
    topology.policy.rules.insert(0, rule);
}

/// Some connections to the host.
pub fn senders(topology: &Topology, dice: &mut Dice) -> Vec<Sender> {
    let served: Vec<_> = topology.served().collect();
    let wanted = 1 + dice.below(3);
    let mut senders = Vec::new();
    for _ in 0..100 {
        let Some(to) = dice.pick(&served) else { break };
        let is_bound = dice.chance(75);
        // Most to the device that leads there: of IPv6, no other does.
        let by = match dice.chance(70) {
            true => Some(to),
            false => dice.pick(&served),
        };
        let sender = Sender {
            from: From::Card,
            protocol: Protocol::Mptcp,
            v6: topology.multipath.as_ref().is_some_and(|all| all.v6),
            bound: by.filter(|_| is_bound),
            source: None,
            port: SERVICE + 1 + senders.len() as u16,
            names: None,
            to: Target::OnLink(to),
            count: 1,
        };
        if senders.len() < wanted && is_possible(topology, &sender) {
            senders.push(sender);
        }
    }
    senders
}

/// The connection comes about, also under `--enforce`, and ends at once; and what is demanded of its process is demanded of none
/// of its subflows, since the kernel ends them.
fn is_possible(topology: &Topology, sender: &Sender) -> bool {
    let is_kept = |subflow: &oracle::Subflow| {
        let expected = oracle::of_packets(topology, subflow, subflow.by, 1, false);
        let mut kinds = expected.findings.keys();
        kinds.all(|key| key.kind != "unpinned") && !oracle::ends_late(topology, subflow)
    };
    oracle::is_free(topology, sender) && oracle::subflows(topology, sender).iter().all(is_kept)
}
