//! ARP flux: two interfaces reach the same neighbour, and one of them answers ARP requests for an address that the other alone has.
//!
//! The kernel answers for any local address on any interface (`arp_process`), and notes the neighbour that it answers on the interface that
//! was asked (`neigh_event_ns`). So a neighbour that is known with one address by two interfaces is behind both.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr},
};

use pinif_ebpf::key::IfIndex;

use super::{
    entrance::{self, Entrance, ReversePath},
    links::Link,
    neighbours::{self, Reached},
    netns::NetNs,
    network::Network,
    routes::{RouteOracle, RouteQuery},
};

/// How many pairs of interfaces are looked at: each of many interfaces of one segment is in a pair with each other.
const PAIRS: usize = 64;

/// Two interfaces, one or both of which answer for the other's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArpFlux {
    /// The interface that answers; of two that do, the one with the lower index.
    pub interface: IfIndex,
    /// The other.
    pub other: IfIndex,
    /// Their names.
    pub names: [String; 2],
    /// A neighbour that both reach.
    pub neighbour: Ipv4Addr,
    /// Who answers, and an address of the other alone that it answers for.
    pub answers: Vec<(String, Ipv4Addr)>,
}

/// Looks for it in a namespace whose interfaces and addresses are known.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel refuses netlink.
pub fn find(netns: &NetNs, network: &Network) -> io::Result<Vec<ArpFlux>> {
    // The usual namespace of a container has nobody to ask.
    let ends = network
        .links
        .iter()
        .filter(|link| link.up && !link.loopback);
    if ends.count() < 2 {
        return Ok(Vec::new());
    }
    let pairs = shared(&neighbours::reached(netns)?, network);
    let mut oracle = None;
    let mut routed_by = |to: Ipv4Addr| -> io::Result<Option<IfIndex>> {
        let oracle = match &mut oracle {
            Some(oracle) => oracle,
            none => none.insert(RouteOracle::open(netns)?),
        };
        let way = oracle.way(&RouteQuery::to(to.into()));
        Ok(way.ok().flatten().map(|way| way.output))
    };
    let mut found = Vec::new();
    for ([first, second], neighbour) in pairs {
        let mut answers = Vec::new();
        for (link, other) in [(first, second), (second, first)] {
            let address = owned(network, other);
            let settings = entrance::read(netns, &link.name);
            let (Some(address), Some(settings)) = (address, settings) else {
                continue;
            };
            if is_answered(settings, || Ok(routed_by(neighbour)? == Some(link.index)))? {
                answers.push((link, other, address));
            }
        }
        let Some((link, other, _)) = answers.first() else {
            continue;
        };
        found.push(ArpFlux {
            interface: link.index,
            other: other.index,
            names: [link.name.clone(), other.name.clone()],
            neighbour,
            answers: answers
                .iter()
                .map(|(link, _, address)| (link.name.clone(), *address))
                .collect(),
        });
    }
    Ok(found)
}

/// Whether an interface answers the neighbour for another's address; `is_routed` says whether the neighbour is routed via it.
fn is_answered(
    settings: Entrance,
    is_routed: impl FnOnce() -> io::Result<bool>,
) -> io::Result<bool> {
    // `arp_filter`, and `fib_validate_source` by way of `ip_route_input_noref`.
    let is_filtered = settings.filters_arp || settings.reverse_path == ReversePath::Strict;
    Ok(settings.answers_arp_for_all && (!is_filtered || is_routed()?))
}

/// An IPv4 address that this interface alone has.
fn owned(network: &Network, link: &Link) -> Option<Ipv4Addr> {
    network
        .addresses
        .of(link.index)
        .find_map(|local| match local.address {
            IpAddr::V4(address) => {
                (network.sole_owner(local.address) == Some(link.index)).then_some(address)
            }
            IpAddr::V6(_) => None,
        })
}

/// The pairs of interfaces of one routing domain that know the same neighbour, by address and link-layer address.
fn shared<'a>(reached: &[Reached], network: &'a Network) -> Vec<([&'a Link; 2], Ipv4Addr)> {
    let mut behind: BTreeMap<(Ipv4Addr, &[u8]), BTreeSet<IfIndex>> = BTreeMap::new();
    for one in reached {
        let interfaces = behind.entry((one.address, &one.link_address)).or_default();
        interfaces.insert(one.interface);
    }
    let mut pairs: BTreeMap<[IfIndex; 2], ([&Link; 2], Ipv4Addr)> = BTreeMap::new();
    for ((neighbour, _), interfaces) in behind {
        let links: Vec<&Link> = interfaces
            .into_iter()
            .filter_map(|index| network.links.get(index))
            .collect();
        for (number, &first) in links.iter().enumerate() {
            for &second in &links[number + 1..] {
                if pairs.len() == PAIRS {
                    return pairs.into_values().collect();
                }
                if vrf(network, first) == vrf(network, second) {
                    pairs
                        .entry([first.index, second.index])
                        .or_insert(([first, second], neighbour));
                }
            }
        }
    }
    pairs.into_values().collect()
}

/// The VRF that an interface belongs to: the addresses of others are none of its own there.
fn vrf(network: &Network, link: &Link) -> Option<IfIndex> {
    let controller = network.links.get(link.controller?)?;
    controller.vrf_table.map(|_| controller.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn reached(interface: u32, host: u8, mac: [u8; 6]) -> Reached {
        Reached {
            interface: IfIndex(interface),
            address: [10, 0, 0, host].into(),
            link_address: mac.to_vec(),
        }
    }

    fn network(links: impl IntoIterator<Item = Link>) -> Network {
        Network {
            links: links.into_iter().collect(),
            ..Network::default()
        }
    }

    fn pairs(reached: &[Reached], network: &Network) -> Vec<([u32; 2], Ipv4Addr)> {
        let shared = shared(reached, network).into_iter();
        shared
            .map(|(links, neighbour)| (links.map(|link| link.index.0), neighbour))
            .collect()
    }

    #[test]
    fn a_neighbour_behind_two_interfaces_is_one_pair() {
        let two = network([Link::new(IfIndex(2), "a"), Link::new(IfIndex(3), "b")]);
        let neighbour = Ipv4Addr::new(10, 0, 0, 2);
        let both = [
            reached(3, 2, MAC),
            reached(2, 2, MAC),
            reached(2, 9, MAC),
            reached(3, 7, MAC),
            reached(2, 7, MAC),
        ];
        assert_eq!(pairs(&both, &two), [([2, 3], neighbour)]);
        // A router that has one MAC address everywhere, and two hosts that have one address.
        let apart = [
            reached(2, 2, MAC),
            reached(3, 3, MAC),
            reached(3, 2, [2, 0, 0, 0, 0, 9]),
        ];
        assert_eq!(pairs(&apart, &two), []);
    }

    #[test]
    fn interfaces_of_two_routing_domains_are_no_pair() {
        let vrf = |index, name: &str| Link {
            kind: Some("vrf".to_owned()),
            vrf_table: Some(index),
            ..Link::new(IfIndex(index), name)
        };
        let of = |index, name: &str, controller| Link {
            controller: Some(IfIndex(controller)),
            ..Link::new(IfIndex(index), name)
        };
        let links = [
            vrf(10, "red"),
            vrf(11, "blue"),
            of(2, "a", 10),
            of(3, "b", 11),
            of(4, "c", 10),
        ];
        let all = [reached(2, 2, MAC), reached(3, 2, MAC), reached(4, 2, MAC)];
        let neighbour = Ipv4Addr::new(10, 0, 0, 2);
        assert_eq!(pairs(&all, &network(links)), [([2, 4], neighbour)]);
    }

    #[test]
    fn many_interfaces_of_a_segment_have_a_limit() {
        let many = network((2..102).map(|index| Link::new(IfIndex(index), format!("if{index}"))));
        let all: Vec<Reached> = (2..102).map(|index| reached(index, 2, MAC)).collect();
        assert_eq!(pairs(&all, &many).len(), PAIRS);
    }

    #[test]
    fn settings_that_keep_an_interface_from_answering() {
        let answers = Entrance {
            reverse_path: ReversePath::Loose,
            answers_arp_for_all: true,
            filters_arp: false,
        };
        let is = |settings, routed| is_answered(settings, || Ok(routed)).expect("no netlink");
        assert!(is(answers, false));
        for filtered in [
            Entrance {
                filters_arp: true,
                ..answers
            },
            Entrance {
                reverse_path: ReversePath::Strict,
                ..answers
            },
        ] {
            assert!(is(filtered, true) && !is(filtered, false));
        }
        let quiet = Entrance {
            answers_arp_for_all: false,
            ..answers
        };
        assert!(!is(quiet, true));
    }
}
