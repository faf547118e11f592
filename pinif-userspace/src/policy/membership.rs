//! Which zones an interface is in.

use std::collections::{BTreeMap, BTreeSet};

use pinif_ebpf::{key::IfIndex, policy::ZoneSet};

use super::model::Policy;
use crate::host::{links::Links, lower_devices::directly_below};

/// How deep interfaces are followed: as deep as the kernel stacks them (`MAX_NEST_DEV`), so that a circle ends.
const MOST: usize = 8;

/// The zones of each interface: those that name it. One that no zone names is in those in which each interface is that it
/// sends by: what leaves by a macvlan, an ipvlan or a VLAN leaves by the interface that it is on, and what leaves by a bond,
/// by its ports.
pub fn membership(links: &Links, policy: &Policy) -> BTreeMap<IfIndex, ZoneSet> {
    let below = directly_below(links);
    let all = links.iter().map(|link| link.index);
    all.map(|index| (index, zones_of(index, links, policy, &below, MOST)))
        .collect()
}

fn zones_of(
    interface: IfIndex,
    links: &Links,
    policy: &Policy,
    below: &BTreeMap<IfIndex, BTreeSet<IfIndex>>,
    most: usize,
) -> ZoneSet {
    let Some(link) = links.get(interface) else {
        return ZoneSet::EMPTY;
    };
    let named = policy.zones_of(&link.name);
    if !named.is_empty() || most == 0 {
        return named;
    }
    let lower = below.get(&interface).into_iter().flatten();
    lower
        .map(|&lower| zones_of(lower, links, policy, below, most - 1))
        .reduce(ZoneSet::intersection)
        .unwrap_or(ZoneSet::EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::links::Link;

    const POLICY: &str = "
        [zone.backplane]
        interfaces = [\"fab*\"]
        [zone.front]
        interfaces = [\"eth*\", \"storage\"]
    ";

    fn link(index: u32, name: &str) -> Link {
        Link::new(IfIndex(index), name)
    }

    fn on(lower: u32, link: Link) -> Link {
        Link {
            lower: Some(IfIndex(lower)),
            ..link
        }
    }

    fn port_of(controller: u32, link: Link) -> Link {
        Link {
            controller: Some(IfIndex(controller)),
            ..link
        }
    }

    fn zones<const N: usize>(links: [Link; N]) -> Vec<u64> {
        let policy = Policy::parse(POLICY, "policy.toml").expect("a policy");
        let membership = membership(&Links::from_iter(links), &policy);
        membership.values().map(|zones| zones.0).collect()
    }

    #[test]
    fn what_is_on_an_interface_of_a_zone_is_in_it() {
        let all = zones([
            link(2, "fab0"),
            on(2, link(3, "vrrp.1")),
            on(3, link(4, "vrrp.1.5")),
        ]);
        assert_eq!(all, [1, 1, 1]);
    }

    #[test]
    fn a_zone_of_its_own_is_the_only_one() {
        assert_eq!(zones([link(2, "fab0"), on(2, link(3, "storage"))]), [1, 2]);
    }

    #[test]
    fn a_bond_is_in_the_zones_of_all_its_ports() {
        let bond = |second| {
            let ports = [port_of(4, link(2, "fab0")), port_of(4, link(3, second))];
            let [first, second] = ports;
            zones([first, second, link(4, "bond0")])
        };
        assert_eq!(bond("fab1"), [1, 1, 1]);
        assert_eq!(bond("eth0"), [1, 2, 0]);
    }

    #[test]
    fn a_circle_ends_in_none() {
        assert_eq!(zones([on(3, link(2, "a")), on(2, link(3, "b"))]), [0, 0]);
    }
}
