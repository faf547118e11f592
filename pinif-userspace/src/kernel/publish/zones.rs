//! What is published of every interface for one policy.

use std::collections::BTreeMap;

use pinif_ebpf::{
    key::IfIndex,
    policy::{InterfaceZones, ZoneSet, flags},
};

use crate::{
    host::{lower_devices::lower_devices, network::Network},
    policy::{Policy, evaluate},
};

/// What is published of every interface: its zones, its own and those of the interfaces that it carries, and
/// the rest ([`flags`]). Interfaces of which there is nothing to say are left out. `enforced` says by which a packet may be refused;
/// [`IfIndex::NONE`] is the one that a route will choose for a group.
pub fn of(
    network: &Network,
    policy: &Policy,
    enforced: impl Fn(IfIndex) -> bool,
) -> BTreeMap<IfIndex, InterfaceZones> {
    let lower_devices = lower_devices(&network.links);
    let mut said: BTreeMap<IfIndex, InterfaceZones> =
        evaluate::zones(network, policy, &lower_devices)
            .into_iter()
            .map(|(index, zones)| (index, InterfaceZones { zones, about: 0 }))
            .collect();
    for (upper, _) in lower_devices {
        if let Some(upper) = said.get_mut(&upper) {
            upper.about |= flags::STACKED;
        }
    }
    for said in said.values_mut() {
        said.about |= keeps(said.zones, policy);
    }
    let links = &network.links;
    for link in links.iter() {
        if let Some(said) = said.get_mut(&link.index) {
            if links.leads_nowhere(link) {
                said.about |= flags::LEADS_NOWHERE;
            }
            if enforced(link.index) {
                said.about |= flags::ENFORCED;
            }
            if link.gives_back() {
                said.about |= flags::GIVES_BACK;
            }
        }
    }
    // An interface that nobody knows is in no zone: where it may be one of these, it may be refused as they are.
    if said.values().any(|said| said.about & flags::ENFORCED != 0) {
        let unknown = InterfaceZones {
            zones: ZoneSet::EMPTY,
            about: flags::ENFORCED,
        };
        said.insert(IfIndex::NONE, unknown);
    }
    said.retain(|_, said| *said != InterfaceZones::default());
    said
}

/// For whom no rule is broken by leaving by an interface of these zones.
fn keeps(zones: ZoneSet, policy: &Policy) -> u64 {
    let may_leave = |only_via: &[usize]| {
        only_via.is_empty() || only_via.iter().any(|&zone| zones.contains(zone))
    };
    if !policy.rules.iter().all(|rule| may_leave(&rule.only_via)) {
        0
    } else if policy.rules.iter().any(|rule| rule.pinned) {
        flags::KEEPS_PINNED
    } else {
        flags::KEEPS_PINNED | flags::KEEPS_UNPINNED
    }
}
