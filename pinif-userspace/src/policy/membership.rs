//! Which zones an interface is in.

use std::collections::BTreeMap;

use pinif_ebpf::{key::IfIndex, policy::ZoneSet};

use super::model::Policy;
use crate::host::{links::Links, lower_devices::directly_below};

/// The zones of each interface: those that name it. One that no zone names is in those in which each interface is that it
/// sends by: what leaves by a macvlan, an ipvlan or a VLAN leaves by the interface that it is on, and what leaves by a bond,
/// by its ports. Not so a tunnel, whose packets the underlay sees as others.
pub fn membership(links: &Links, policy: &Policy) -> BTreeMap<IfIndex, ZoneSet> {
    let below = directly_below(links);
    let mut open = Vec::new();
    let mut zones = BTreeMap::new();
    for link in links.iter() {
        let named = policy.zones_of(&link.name);
        zones.insert(link.index, named);
        if named.is_empty() && link.outer.is_empty() && below.contains_key(&link.index) {
            open.push(link.index);
        }
    }
    // Each round settles one layer, and there are as many as the kernel stacks (`MAX_NEST_DEV`): a circle ends in none.
    for _ in 0..MOST {
        let before = zones.clone();
        for index in &open {
            let lower = below[index].iter();
            let of_all = lower
                .map(|lower| before.get(lower).copied().unwrap_or_default())
                .reduce(ZoneSet::intersection);
            zones.insert(*index, of_all.unwrap_or_default());
        }
        if zones == before {
            break;
        }
    }
    zones
}

/// How many layers are followed.
const MOST: usize = 8;

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
    fn a_tunnel_on_an_interface_of_a_zone_is_in_none() {
        let tunnel = Link {
            outer: [pinif_ebpf::tunnel::Signature::protocol(47)].into(),
            ..on(2, link(3, "gre1"))
        };
        assert_eq!(zones([link(2, "fab0"), tunnel]), [1, 0]);
    }

    #[test]
    fn a_circle_ends_in_none() {
        assert_eq!(zones([on(3, link(2, "a")), on(2, link(3, "b"))]), [0, 0]);
    }
}
