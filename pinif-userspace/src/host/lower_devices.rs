//! Lower devices: the interfaces through which another's packets legitimately travel.

use std::collections::{BTreeMap, BTreeSet};

use pinif_ebpf::key::IfIndex;

use super::links::{Link, Links};

/// Every pair (interface, lower device) of a namespace, through any number of layers, never an interface with itself.
///
/// The lower devices of an interface are those that belong to it (the ports of a bond, team, bridge or VRF), the one that
/// it is stacked on (a VLAN's trunk, a macvlan's device, the underlay of a tunnel that names one), and the lower devices of
/// those. Neither end of a pair (veth, netkit) is one of the other: what one sends arrives at the other. But where that is a
/// port of a bridge, the bridge is one: a host's own leg into it sends by its ports.
pub fn lower_devices(links: &Links) -> BTreeSet<(IfIndex, IfIndex)> {
    let below = directly_below(links);
    let mut pairs = BTreeSet::new();
    for &upper in below.keys() {
        // A walk, with the pairs themselves as the marks of what was visited: a cycle ends where it closes.
        let mut ahead = vec![upper];
        while let Some(at) = ahead.pop() {
            for &lower in below.get(&at).into_iter().flatten() {
                if lower != upper && pairs.insert((upper, lower)) {
                    ahead.push(lower);
                }
            }
        }
    }
    pairs
}

/// The ports of those bridges that `audited` says are, each with its bridge.
pub fn bridges(links: &Links, audited: impl Fn(IfIndex) -> bool) -> BTreeMap<IfIndex, IfIndex> {
    let bridge_of = |link: &Link| {
        let controller = links.get(link.controller?)?;
        let counts = controller.kind.as_deref() == Some("bridge") && audited(controller.index);
        counts.then_some((link.index, controller.index))
    };
    links.iter().filter_map(bridge_of).collect()
}

/// How many legs into bridges a namespace may have: with more, none is followed. Each has all ports of its bridge as lower devices, and
/// whoever makes namespaces must not fill the programs' table for all.
const MOST_LEGS: usize = 16;

/// The lower devices of each interface that it sends to itself.
pub fn directly_below(links: &Links) -> BTreeMap<IfIndex, BTreeSet<IfIndex>> {
    let mut below: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for link in links.iter() {
        if let Some(controller) = link.controller {
            below.entry(controller).or_default().insert(link.index);
        }
        if let Some(lower) = link.lower {
            below.entry(link.index).or_default().insert(lower);
        }
        if !link.ring.is_empty() {
            below.entry(link.index).or_default().extend(&link.ring);
        }
    }
    let legs: Vec<(IfIndex, IfIndex)> = links
        .iter()
        .filter_map(|link| Some((link.index, links.bridge_behind(link)?.index)))
        .take(MOST_LEGS + 1)
        .collect();
    if legs.len() <= MOST_LEGS {
        for (leg, bridge) in legs {
            below.entry(leg).or_default().insert(bridge);
        }
    }
    below
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(index: u32, controller: Option<u32>, lower: Option<u32>) -> Link {
        Link {
            controller: controller.map(IfIndex),
            lower: lower.map(IfIndex),
            ..Link::new(IfIndex(index), format!("if{index}"))
        }
    }

    fn pairs<const N: usize>(pairs: [(u32, u32); N]) -> BTreeSet<(IfIndex, IfIndex)> {
        pairs
            .into_iter()
            .map(|(upper, lower)| (IfIndex(upper), IfIndex(lower)))
            .collect()
    }

    #[test]
    fn a_vlan_on_a_bond_travels_through_both_its_ports() {
        let (eth0, eth1, bond, vlan) = (
            link(2, Some(4), None),
            link(3, Some(4), None),
            link(4, None, None),
            link(5, None, Some(4)),
        );
        let links = Links::from_iter([eth0, eth1, bond, vlan]);
        assert_eq!(
            lower_devices(&links),
            pairs([(4, 2), (4, 3), (5, 4), (5, 2), (5, 3)])
        );
    }

    #[test]
    fn a_vlan_in_a_vrf_belongs_up_and_rests_below() {
        let links = Links::from_iter([
            link(2, None, None),
            link(3, Some(9), Some(2)),
            link(9, None, None),
        ]);
        assert_eq!(lower_devices(&links), pairs([(9, 3), (9, 2), (3, 2)]));
    }

    #[test]
    fn a_leg_into_a_bridge_sends_by_its_ports() {
        let leg = Link {
            peer: Some(IfIndex(3)),
            ..link(2, None, None)
        };
        let bridge = Link {
            kind: Some("bridge".to_owned()),
            ..link(4, None, None)
        };
        let ports = [link(3, Some(4), None), link(5, Some(4), None)];
        let links = Links::from_iter(ports.into_iter().chain([leg, bridge]));
        assert_eq!(
            lower_devices(&links),
            pairs([(2, 3), (2, 4), (2, 5), (4, 3), (4, 5)])
        );
    }

    #[test]
    fn a_ring_travels_through_both_its_links() {
        let ring = Link {
            ring: vec![IfIndex(2), IfIndex(3)],
            ..link(4, None, None)
        };
        let links = Links::from_iter([link(2, None, None), link(3, None, None), ring]);
        assert_eq!(lower_devices(&links), pairs([(4, 2), (4, 3)]));
    }

    #[test]
    fn a_bond_is_no_lower_device_of_its_port() {
        let links = Links::from_iter([link(2, Some(4), None), link(4, None, None)]);
        assert!(!lower_devices(&links).contains(&(IfIndex(2), IfIndex(4))));
    }

    #[test]
    fn unrelated_interfaces_have_no_lower_device() {
        let links = Links::from_iter([link(1, None, None), link(2, None, None)]);
        assert_eq!(lower_devices(&links), BTreeSet::new());
    }

    #[test]
    fn a_vlan_on_its_own_bridge_ends() {
        let links = Links::from_iter([link(2, Some(3), Some(3)), link(3, None, None)]);
        assert_eq!(lower_devices(&links), pairs([(2, 3), (3, 2)]));
    }

    fn any_links() -> impl Strategy<Value = Links> {
        let one = (
            proptest::option::of(1u32..12),
            proptest::option::of(1u32..12),
        );
        proptest::collection::vec(one, 0..12).prop_map(|all| {
            all.into_iter()
                .enumerate()
                .map(|(at, (controller, lower))| link(at as u32 + 1, controller, lower))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn it_is_a_transitive_closure_without_loops(links in any_links()) {
            let all = lower_devices(&links);
            prop_assert!(all.iter().all(|(upper, lower)| upper != lower));
            for &(upper, middle) in &all {
                for &(_, lower) in all.iter().filter(|(second, _)| *second == middle) {
                    prop_assert!(upper == lower || all.contains(&(upper, lower)));
                }
            }
        }

        #[test]
        fn each_pair_has_a_step_that_explains_it(links in any_links()) {
            let all = lower_devices(&links);
            let direct = directly_below(&links);
            for &(upper, lower) in &all {
                let steps = &direct[&upper];
                prop_assert!(steps.contains(&lower) || steps.iter().any(|step| all.contains(&(*step, lower))));
            }
            for (upper, steps) in &direct {
                prop_assert!(steps.iter().all(|lower| lower == upper || all.contains(&(*upper, *lower))));
            }
        }
    }
}
