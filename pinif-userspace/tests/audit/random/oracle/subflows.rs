//! Which subflows a connection of Multipath TCP has: those that the process and, by what was set, the kernel make
//! (`mptcp_pm_create_subflow_or_signal_addr`, `mptcp_pm_nl_add_addr_received`).

use std::net::IpAddr;

use super::verdict::{Subject, broken_by_answer};
use super::{Expected, Key, journey, leaves};
use crate::random::topology::{Id, SERVER, Sender, Target, Topology, address};

/// One of the TCP connections that together are a connection of Multipath TCP.
#[derive(Clone, Debug)]
pub struct Subflow {
    /// Its packets, with the intent of its connection.
    pub sender: Sender,
    /// The device that they leave by first.
    pub by: Id,
    /// The one by which the last may leave instead: what is left of the socket in TIME_WAIT lets the kernel's own socket send, which
    /// is bound to nothing, and IPv6 takes the best route then (`tcp_v6_send_response`, `RT6_LOOKUP_F_IFACE`).
    pub last_by: Option<Id>,
    /// The device whose address they have.
    source: Id,
    /// What the kernel bound it to.
    bound: Option<Id>,
    pub local: IpAddr,
    pub remote: IpAddr,
}

/// All of them, the first first.
pub fn subflows(topology: &Topology, sender: &Sender) -> Vec<Subflow> {
    let first = subflow(topology, sender, sender);
    let Some(multipath) = &topology.multipath else {
        return first.into_iter().collect();
    };
    let of_first = first.as_ref().map(|first| first.source);
    let endpoints = multipath.endpoints.iter();
    let of_endpoints = endpoints
        // The first has it (`mptcp_pm_nl_get_local_id`).
        .filter(|endpoint| Some(endpoint.of) != of_first)
        .map(|endpoint| Sender {
            bound: endpoint.is_bound.then_some(endpoint.of),
            source: Some(endpoint.of),
            ..sender.clone()
        });
    let announced = multipath.announced.iter().filter(|_| multipath.accepts);
    let of_announced = announced
        .map(|&on| Target::OnLink(on))
        // The first leads there.
        .filter(|&to| to != sender.to)
        .map(|to| Sender {
            bound: None,
            to,
            ..sender.clone()
        });
    let others = of_endpoints.chain(of_announced);
    let others = others.filter_map(|made| subflow(topology, sender, &made));
    first.into_iter().chain(others).collect()
}

/// The subflow that the kernel made like this, if there is a route for it.
fn subflow(topology: &Topology, connection: &Sender, made: &Sender) -> Option<Subflow> {
    let by = leaves(topology, made)?;
    let source = made.source.unwrap_or(by);
    let Target::OnLink(on) = made.to else {
        panic!("subflows lead to a host on the link");
    };
    let net = |id: Id| topology.devices[id].net.expect("it has addresses");
    let unbound = Sender {
        bound: None,
        ..made.clone()
    };
    let last_by = leaves(topology, &unbound).filter(|_| made.v6);
    Some(Subflow {
        by,
        last_by: last_by.filter(|&last| last != by),
        source,
        bound: made.bound,
        local: address(net(source), 1, made.v6),
        remote: address(net(on), SERVER, made.v6),
        sender: Sender {
            // Where its connection is bound to nothing, the endpoint's device is all that it is meant for.
            bound: connection.bound.or(made.bound),
            source: Some(source),
            ..made.clone()
        },
    })
}

/// Whether it comes about: its packets get to the host.
pub fn is_made(topology: &Topology, subflow: &Subflow, enforced: bool) -> bool {
    let cable = topology.cable(subflow.by).expect("it leads to the host");
    let expected = of_packets(topology, subflow, subflow.by, 1, enforced);
    expected.drivers.contains_key(topology.name(cable))
}

/// Whether the last packets of a subflow could be dropped, so that its other end would send again and again.
pub fn ends_late(topology: &Topology, subflow: &Subflow) -> bool {
    subflow.last_by.is_some_and(|by| {
        let expected = of_packets(topology, subflow, by, 1, true);
        expected.findings.keys().any(|key| key.dropped)
    })
}

/// What is expected of so many packets of a subflow that leave by a device first.
pub fn of_packets(
    topology: &Topology,
    subflow: &Subflow,
    by: Id,
    count: u64,
    enforced: bool,
) -> Expected {
    journey::walk(topology, &subflow.sender, by, count, enforced)
}

/// Whether answers to a connection's subflows would be kept out: how often a host sends them again then, nothing here says.
pub fn keeps_answers_out(topology: &Topology, sender: &Sender) -> bool {
    let mut all = subflows(topology, sender).into_iter();
    all.any(|subflow| {
        let cable = topology.cable(subflow.source);
        let mut devices = cable.into_iter().chain([subflow.source]);
        devices.any(|device| broken_by_answer(topology, sender, device).is_some())
    })
}

/// What is expected of so many answers to a subflow.
pub fn of_answers(topology: &Topology, subflow: &Subflow, answered: u64) -> Expected {
    let sender = &subflow.sender;
    let mut expected = Expected::default();
    if answered == 0 {
        return expected;
    }
    // The host answers by the cable that leads to the address.
    let cable = topology.cable(subflow.source);
    for device in cable.into_iter().chain([subflow.source]) {
        if let Some(rule) = broken_by_answer(topology, sender, device) {
            let key = Key {
                kind: "ingress-escape",
                severity: "leak",
                rule: Some(format!("r{rule}")),
                bound: subflow.bound.map(|id| topology.name(id).to_owned()),
                egress: topology.name(device).to_owned(),
                dropped: false,
                subject: Subject::Program,
            };
            expected.findings.insert(key, answered);
        }
    }
    expected
}
