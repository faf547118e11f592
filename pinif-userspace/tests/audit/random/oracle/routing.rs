//! By which device the kernel sends what a sender sends: `ip_route_output_key_hash_rcu`, `ip6_route_output_flags`, ip-rule(8).

use crate::random::topology::{Id, Kind, Sender, State, Target, Topology};

/// The first device; none where the kernel refuses to send. The host's own addresses are no device's: they have no place here
/// ([`Target::Local`] is looked at before).
pub fn leaves(topology: &Topology, sender: &Sender) -> Option<Id> {
    match sender.names.or(sender.bound) {
        Some(device) => by(topology, sender, device),
        None => Some(match sender.to {
            // The address chooses the device, where no device does (`__ip_dev_find`).
            Target::Group => sender.source.unwrap_or(topology.default),
            Target::Local(id) => id,
            _ => main_table(topology, sender),
        }),
    }
}

/// By this device, which the socket or the message names.
fn by(topology: &Topology, sender: &Sender, device: Id) -> Option<Id> {
    if let Kind::Vrf(legs) = topology.kind(device) {
        // The rule of the domains ends nothing: a table without an answer leaves it to the main one.
        let leg = legs
            .iter()
            .copied()
            .find(|&leg| leads(topology, sender, leg));
        return Some(leg.unwrap_or_else(|| main_table(topology, sender)));
    }
    let is_down = *topology.kind(device) == Kind::Leg(State::Down);
    // IPv4 takes what has no route by the device for a host on its link, unless that is in a domain (`flowi4_l3mdev`). IPv6 does not.
    let is_taken_for_neighbour = !sender.v6 && topology.domain(device).is_none();
    let is_routed = is_taken_for_neighbour
        || matches!(sender.to, Target::Group | Target::Local(_))
        || leads(topology, sender, device)
        || device == topology.default;
    (!is_down && is_routed).then_some(device)
}

/// What the main table says: the most specific route.
fn main_table(topology: &Topology, sender: &Sender) -> Id {
    let mut all = topology.ids();
    let route = all.find(|&id| topology.domain(id).is_none() && leads(topology, sender, id));
    route.unwrap_or(topology.default)
}

/// Whether a route that is no default leads there by the device.
fn leads(topology: &Topology, sender: &Sender, device: Id) -> bool {
    match sender.to {
        Target::OnLink(id) => id == device && *topology.kind(id) != Kind::Leg(State::Down),
        Target::Beyond(number) => topology.routes.contains(&(number, device)),
        Target::World | Target::Local(_) | Target::Group => false,
    }
}
