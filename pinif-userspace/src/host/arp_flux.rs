//! ARP flux: who is in the network of one interface reaches another, and that one answers ARP requests for an address that the former alone has.
//!
//! The kernel answers for any local address on any interface (`arp_process`), and notes the neighbour that it answers on the interface that
//! was asked (`neigh_event_ns`). So a neighbour that is known with one address by two interfaces is behind both. And so is one that is known by
//! an interface where nothing is routed to it, with an address of the network of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::Ipv4Net;
use pinif_ebpf::key::IfIndex;

use super::{
    addresses::LocalAddress,
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
    /// It is known by [`Self::interface`] alone, and is in the network of the other, where it is routed.
    pub is_foreign: bool,
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
    let reached = neighbours::reached(netns)?;
    let pairs = shared(&reached, network);
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
            is_foreign: false,
            answers: answers
                .iter()
                .map(|(link, _, address)| (link.name.clone(), *address))
                .collect(),
        });
    }
    for (first, second, neighbour) in foreign(&reached, network) {
        let is_found = |one: &ArpFlux| {
            let pair = [one.interface, one.other];
            pair.contains(&first.index) && pair.contains(&second.index)
        };
        let address = owned(network, second);
        let settings = entrance::read(netns, &first.name);
        let (Some(address), Some(settings)) = (address, settings) else {
            continue;
        };
        if found.iter().any(is_found) || !is_answered(settings, || Ok(false))? {
            continue;
        }
        // Where it is routed by the interface that knows it, that is where it belongs, as a container's own link.
        if routed_by(neighbour)? != Some(second.index) {
            continue;
        }
        found.push(ArpFlux {
            interface: first.index,
            other: second.index,
            names: [first.name.clone(), second.name.clone()],
            neighbour,
            is_foreign: true,
            answers: vec![(first.name.clone(), address)],
        });
    }
    Ok(found)
}

/// Neighbours that an interface knows, none of whose networks they are in, but that of another interface of its routing domain: each pair once.
fn foreign<'a>(reached: &[Reached], network: &'a Network) -> Vec<(&'a Link, &'a Link, Ipv4Addr)> {
    let mut pairs: BTreeMap<[IfIndex; 2], (&Link, &Link, Ipv4Addr)> = BTreeMap::new();
    for one in reached {
        let is_in = |link: &&Link| {
            let mut own = network.addresses.of(link.index);
            own.any(|own| has_in_network(own, one.address))
        };
        let Some(link) = network.links.get(one.interface) else {
            continue;
        };
        if is_in(&link) {
            continue;
        }
        let mut others = network.links.iter().filter(|other| {
            let is_end = other.up && !other.loopback && other.index != link.index;
            is_end && vrf(network, other) == vrf(network, link)
        });
        if let Some(other) = others.find(is_in)
            && pairs.len() < PAIRS
        {
            pairs
                .entry([link.index, other.index])
                .or_insert((link, other, one.address));
        }
    }
    pairs.into_values().collect()
}

/// Whether an address is in the network of a local one, which has others than itself.
fn has_in_network(own: &LocalAddress, address: Ipv4Addr) -> bool {
    let IpAddr::V4(local) = own.address else {
        return false;
    };
    let is_network = (1..32).contains(&own.prefix_len);
    let network = Ipv4Net::new(local, own.prefix_len);
    is_network && network.is_ok_and(|network| network.contains(&address))
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
    fn a_neighbour_of_anothers_network_is_foreign() {
        let address = |index, address: [u8; 4], prefix_len| LocalAddress {
            address: address.into(),
            index: IfIndex(index),
            prefix_len,
        };
        let up = |index, name: &str| Link {
            up: true,
            ..Link::new(IfIndex(index), name)
        };
        let network = |second: Link, addresses: &[LocalAddress]| {
            let mut network = network([up(2, "a"), second]);
            network.addresses = addresses.iter().copied().collect();
            network
        };
        let found = |reached: &[Reached], network: &Network| -> Vec<(u32, u32)> {
            let all = foreign(reached, network).into_iter();
            all.map(|(link, other, _)| (link.index.0, other.index.0))
                .collect()
        };
        let own = [
            address(2, [10, 0, 0, 1], 24),
            address(3, [192, 0, 2, 1], 24),
        ];
        let both = [reached(3, 77, MAC), reached(3, 78, MAC), reached(2, 9, MAC)];
        assert_eq!(found(&both, &network(up(3, "b"), &own)), [(3, 2)]);
        // In the interface's own network as well; an address alone; one that is down.
        let too = [own[0], address(3, [10, 0, 1, 1], 16)];
        assert_eq!(found(&both, &network(up(3, "b"), &too)), []);
        let alone = [address(2, [10, 0, 0, 1], 32), own[1]];
        assert_eq!(found(&both, &network(up(3, "b"), &alone)), []);
        let mut down = network(up(3, "b"), &own);
        down.links = [Link::new(IfIndex(2), "a"), up(3, "b")]
            .into_iter()
            .collect();
        assert_eq!(found(&both, &down), []);
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
