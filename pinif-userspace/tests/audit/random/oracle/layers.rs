//! Which devices a device sends by, and which zones it is in: docs/policy.md.

use std::collections::BTreeSet;

use crate::random::topology::{Id, Kind, Topology};

/// The devices that a device sends by, to the lowest.
pub fn reaches(topology: &Topology, device: Id) -> Vec<Id> {
    let mut all = Vec::new();
    let mut ahead = below(topology, device);
    while let Some(id) = ahead.pop() {
        all.push(id);
        ahead.extend(below(topology, id));
    }
    all
}

/// Whether what is meant for `upper` may leave by `device`.
pub fn carries(topology: &Topology, upper: Id, device: Id) -> bool {
    upper == device || reaches(topology, upper).contains(&device)
}

fn below(topology: &Topology, device: Id) -> Vec<Id> {
    match topology.kind(device) {
        Kind::MacVlan(over) | Kind::Vlan(over) | Kind::IpVlan(over) => vec![*over],
        Kind::Bridge { ports, .. } => ports.clone(),
        Kind::Vrf(legs) => legs.clone(),
        // Into its bridge, and out of the bridge's ports.
        Kind::Host(plug) => match topology.kind(*plug) {
            Kind::Plug(bridge) => vec![*bridge],
            _ => Vec::new(),
        },
        Kind::Leg(_) | Kind::Plug(_) | Kind::Dummy | Kind::Ifb | Kind::Port => Vec::new(),
    }
}

/// Whether nothing leaves the host by it.
pub fn leads_nowhere(topology: &Topology, device: Id) -> bool {
    matches!(
        topology.kind(device),
        Kind::Dummy | Kind::Ifb | Kind::Vrf(_)
    )
}

/// The zones that a device counts as in: its own, and those of what sends by it.
pub fn zones(topology: &Topology, device: Id) -> BTreeSet<usize> {
    let uppers = topology
        .ids()
        .filter(|&upper| carries(topology, upper, device));
    uppers.flat_map(|upper| own(topology, upper)).collect()
}

/// Those that name it; for one that no zone names, those of all that it sends by.
fn own(topology: &Topology, device: Id) -> BTreeSet<usize> {
    let zones = topology.policy.zones.iter().enumerate();
    let named: BTreeSet<_> = zones
        .filter(|(_, zone)| zone.devices.contains(&device))
        .map(|(number, _)| number)
        .collect();
    if !named.is_empty() {
        return named;
    }
    let below = below(topology, device).into_iter();
    below
        .map(|id| own(topology, id))
        .reduce(|all, one| all.intersection(&one).copied().collect())
        .unwrap_or_default()
}
