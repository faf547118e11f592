//! The interfaces and addresses that learned traffic is judged with, as the auditor had them.

use std::collections::BTreeMap;

use ipnet::IpNet;
use pinif_ebpf::{key::IfIndex, tunnel::Signature};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::{
    addresses::LocalAddress,
    links::{Link, Links},
    network::Network,
};

/// A network namespace, as far as a verdict looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LearnedNamespace {
    /// Its name.
    pub name: String,
    /// Its interfaces.
    pub interfaces: Vec<LearnedInterface>,
}

/// An interface, as far as a verdict looks at it. Other interfaces are named by their indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LearnedInterface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The kind of virtual device; null for hardware and loopback.
    pub kind: Option<String>,
    /// Whether it is a loopback device.
    pub loopback: bool,
    /// The bond, team, bridge or VRF that it belongs to.
    pub controller: Option<u32>,
    /// The interface that it is stacked on.
    pub lower: Option<u32>,
    /// The other end of a pair.
    pub peer: Option<u32>,
    /// The interfaces that an HSR or PRP device sends each frame by.
    pub ring: Vec<u32>,
    /// Whether it is a tunnel, whose outer packets leave by another interface.
    pub tunnel: bool,
    /// Its addresses, each with the length of its prefix.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
}

impl LearnedNamespace {
    /// Of what is known of its network.
    pub fn of(name: String, network: &Network) -> Self {
        let interface = |link: &Link| {
            let index = |index: IfIndex| index.0;
            let addresses = network.addresses.of(link.index);
            LearnedInterface {
                index: link.index.0,
                name: link.name.clone(),
                kind: link.kind.clone(),
                loopback: link.loopback,
                controller: link.controller.map(index),
                lower: link.lower.map(index),
                peer: link.peer.map(index),
                ring: link.ring.iter().map(|one| one.0).collect(),
                tunnel: !link.outer.is_empty(),
                addresses: addresses
                    .filter_map(|local| IpNet::new(local.address, local.prefix_len).ok())
                    .collect(),
            }
        };
        Self {
            interfaces: network.links.iter().map(interface).collect(),
            name,
        }
    }

    fn network(&self) -> Network {
        let links = self.interfaces.iter().map(LearnedInterface::link);
        let addresses = self.interfaces.iter().flat_map(|interface| {
            let local = |address: &IpNet| LocalAddress {
                address: address.addr(),
                index: IfIndex(interface.index),
                prefix_len: address.prefix_len(),
            };
            interface.addresses.iter().map(local)
        });
        Network {
            links: Links::from_iter(links),
            addresses: addresses.collect(),
        }
    }
}

impl LearnedInterface {
    fn link(&self) -> Link {
        // Which header a tunnel has is nothing that what is learned is judged by.
        let outer = self.tunnel.then(|| Signature::protocol(0));
        Link {
            kind: self.kind.clone(),
            loopback: self.loopback,
            controller: self.controller.map(IfIndex),
            lower: self.lower.map(IfIndex),
            peer: self.peer.map(IfIndex),
            ring: self.ring.iter().copied().map(IfIndex).collect(),
            outer: outer.into_iter().collect(),
            ..Link::new(IfIndex(self.index), self.name.clone())
        }
    }
}

/// The networks of namespaces, by name.
pub fn networks(namespaces: &[LearnedNamespace]) -> BTreeMap<&str, Network> {
    let each = namespaces.iter();
    each.map(|one| (one.name.as_str(), one.network())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_the_same_after_it_was_written_as_far_as_verdicts_look() {
        let mut bond = Link::new(IfIndex(4), "bond0");
        bond.kind = Some("bond".to_owned());
        let port = Link {
            controller: Some(IfIndex(4)),
            ..Link::new(IfIndex(2), "fab0")
        };
        let tunnel = Link {
            lower: Some(IfIndex(4)),
            outer: [Signature::protocol(0)].into(),
            ..Link::new(IfIndex(5), "gre1")
        };
        let local = LocalAddress {
            address: [10, 0, 0, 1].into(),
            index: IfIndex(4),
            prefix_len: 24,
        };
        let network = Network {
            links: Links::from_iter([bond, port, tunnel]),
            addresses: [local].into_iter().collect(),
        };
        let written = LearnedNamespace::of("card".to_owned(), &network);
        assert_eq!(networks(&[written])["card"], network);
    }
}
