//! What may arrive by which interface, and where that is to be watched.

use std::collections::BTreeMap;

use pinif_ebpf::{
    key::IfIndex,
    policy::{RuleSet, ZoneSet},
    verdict::arrival::IngressPolicy,
};

use super::{membership::membership, model::Policy};
use crate::host::{
    links::{Link, Links},
    lower_devices::lower_devices,
    network::Network,
};

/// What may arrive by every interface; none where the policy keeps nothing inside.
pub fn of(network: &Network, policy: &Policy) -> BTreeMap<IfIndex, IngressPolicy> {
    let contained = contained(policy);
    if contained.is_empty() && policy.rules.iter().all(|rule| rule.only_via.is_empty()) {
        return BTreeMap::new();
    }
    let links = &network.links;
    let own = membership(links, policy);
    let reached = reached(links, &own);
    links
        .iter()
        .map(|link| {
            let index = link.index;
            let allows = IngressPolicy {
                protected: own[&index].intersection(contained),
                allowed: reached[&index].intersection(contained),
                unmet_rules: unmet(policy, reached[&index]),
                l3mdev: domain(links, link),
                _pad: 0,
            };
            (index, allows)
        })
        .collect()
}

/// The interfaces where what arrives may be amiss under a policy, with their names. Not where nothing is given to the
/// network layer: a port's frames arrive at its bridge, bond or team again, and by a loopback device nothing comes from
/// outside.
pub fn watched(network: &Network, policy: &Policy) -> Vec<(IfIndex, String)> {
    let contained = contained(policy);
    let ingress = of(network, policy);
    let links = &network.links;
    let may_be_amiss = |link: &&Link| {
        let allows = ingress.get(&link.index);
        allows.is_some_and(|allows| !allows.is_open(contained))
    };
    links
        .iter()
        .filter(|link| !link.is_internal() && !is_vrf(link) && controller(links, link).is_none())
        .filter(may_be_amiss)
        .map(|link| (link.index, link.name.clone()))
        .collect()
}

fn contained(policy: &Policy) -> ZoneSet {
    let mut contained = ZoneSet::EMPTY;
    for (number, zone) in policy.zones.iter().enumerate() {
        if zone.contained {
            contained.insert(number);
        }
    }
    contained
}

/// The zones whose traffic each interface legitimately takes in: its own, those of what it carries, and those of its ports,
/// whose frames it takes.
fn reached(links: &Links, own: &BTreeMap<IfIndex, ZoneSet>) -> BTreeMap<IfIndex, ZoneSet> {
    let mut by_lower = own.clone();
    for (upper, lower) in lower_devices(links) {
        if let Some(zones) = by_lower.get_mut(&lower) {
            zones.0 |= own.get(&upper).copied().unwrap_or_default().0;
        }
    }
    let mut reached = by_lower.clone();
    for link in links.iter() {
        let mut above = controller(links, link);
        // As deep as the kernel stacks devices (`MAX_NEST_DEV`), so that a loop ends.
        for _ in 0..8 {
            let Some(controller) = above else { break };
            if let Some(zones) = reached.get_mut(&controller.index) {
                zones.0 |= by_lower[&link.index].0;
            }
            above = self::controller(links, controller);
        }
    }
    reached
}

/// The bridge, bond or team that takes an interface's frames.
fn controller<'a>(links: &'a Links, link: &Link) -> Option<&'a Link> {
    let controller = links.get(link.controller?)?;
    (!is_vrf(controller)).then_some(controller)
}

/// The VRF that an interface is in, or is.
fn domain(links: &Links, link: &Link) -> IfIndex {
    if is_vrf(link) {
        return link.index;
    }
    let controller = link.controller.and_then(|index| links.get(index));
    controller
        .filter(|controller| is_vrf(controller))
        .map_or(IfIndex::NONE, |vrf| vrf.index)
}

fn is_vrf(link: &Link) -> bool {
    link.kind.as_deref() == Some("vrf")
}

/// The rules that demand zones of which none is among these.
fn unmet(policy: &Policy, zones: ZoneSet) -> RuleSet {
    let mut unmet = RuleSet::EMPTY;
    for (number, rule) in policy.rules.iter().enumerate() {
        if !rule.only_via.is_empty() && !rule.only_via.iter().any(|&zone| zones.contains(zone)) {
            unmet.insert(number);
        }
    }
    unmet
}

#[cfg(test)]
mod tests;
