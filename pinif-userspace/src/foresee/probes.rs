//! The destinations that are looked at for sockets that are not connected: one for each network that a route or a rule of
//! the policy distinguishes from others.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;

use crate::{
    policy::{Policy, Rule},
    survey::{NOWHERE_4, NOWHERE_6},
};

/// How many there are at most.
pub const MOST: usize = 256;

/// A destination of sockets that are not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Probe {
    /// The network.
    pub network: IpNet,
    /// The port; zero where no rule asks for one.
    pub port: u16,
}

impl Probe {
    /// An address of the network that is hardly the host's own: its second. Of the network of all addresses, one that no host
    /// has, and of the lower half of IPv4 one beyond `0.0.0.0/8`, to which nothing can be sent (RFC 1122, 3.2.1.3).
    pub fn address(&self) -> IpAddr {
        match self.network {
            IpNet::V4(network) if network.prefix_len() == 0 => NOWHERE_4.into(),
            IpNet::V6(network) if network.prefix_len() == 0 => NOWHERE_6.into(),
            IpNet::V4(network) => {
                let second = network.hosts().nth(1).unwrap_or(network.addr());
                let beyond = Ipv4Addr::new(1, 0, 0, 2);
                if second.octets()[0] == 0 && network.contains(&beyond) {
                    beyond.into()
                } else {
                    second.into()
                }
            }
            IpNet::V6(network) => network.hosts().nth(2).unwrap_or(network.addr()).into(),
        }
    }
}

/// Those of the policy's rules first, as far as a route leads there; then the networks of the routes, but for the default.
pub(super) fn of(networks: &BTreeSet<IpNet>, policy: &Policy) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut known = BTreeSet::new();
    let of_rules = policy.rules.iter().flat_map(|rule| of_rule(networks, rule));
    let of_routes = networks.iter().filter(|network| network.prefix_len() != 0);
    let of_routes = of_routes.map(|&network| Probe { network, port: 0 });
    for probe in of_rules.chain(of_routes) {
        if probes.len() < MOST && known.insert(probe) {
            probes.push(probe);
        }
    }
    probes
}

/// What a rule is for: its networks as far as routes lead there, each at the first of its ranges of ports.
fn of_rule<'a>(
    networks: &'a BTreeSet<IpNet>,
    rule: &'a Rule,
) -> impl Iterator<Item = Probe> + use<'a> {
    let wanted: BTreeSet<IpNet> = if rule.destinations.is_empty() {
        networks.clone()
    } else {
        let destinations = rule.destinations.iter();
        destinations
            .flat_map(|rule| networks.iter().filter_map(|route| narrower(*rule, *route)))
            .collect()
    };
    let ports: BTreeSet<u16> = rule.ports.iter().map(|range| *range.start()).collect();
    wanted.into_iter().flat_map(move |network| {
        let any = ports.is_empty().then_some(0);
        let ports: Vec<_> = ports.iter().copied().chain(any).collect();
        ports.into_iter().map(move |port| Probe { network, port })
    })
}

/// What is in both.
fn narrower(one: IpNet, other: IpNet) -> Option<IpNet> {
    if one.contains(&other) {
        Some(other)
    } else if other.contains(&one) {
        Some(one)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    #[test]
    fn rules_come_first_as_far_as_routes_lead() {
        let routes = ["0.0.0.0/0", "10.0.0.0/24", "10.1.0.0/16", "fd00::/64"];
        let networks = routes.map(network).into_iter().collect();
        let policy = "[zone.z]\ninterfaces = [\"z\"]\n\
            [[rule]]\nname = \"a\"\ndestination = [\"10.0.0.0/16\", \"fd01::/16\"]\nport = [\"7-9\", 80]\nonly_via = [\"z\"]\n";
        let policy = Policy::parse(policy, "test").expect("a policy");
        let probes = of(&networks, &policy);
        let probes: Vec<_> = probes
            .iter()
            .map(|probe| (probe.network.to_string(), probe.port))
            .collect();
        let expected = [
            ("10.0.0.0/16", 7),
            ("10.0.0.0/16", 80),
            ("10.0.0.0/24", 7),
            ("10.0.0.0/24", 80),
            ("10.0.0.0/24", 0),
            ("10.1.0.0/16", 0),
            ("fd00::/64", 0),
        ];
        assert_eq!(probes, expected.map(|(text, port)| (text.to_owned(), port)));
    }

    #[test]
    fn a_network_has_an_address_to_be_asked_for() {
        for (text, address) in [
            ("10.0.0.0/24", "10.0.0.2"),
            ("10.0.0.2/32", "10.0.0.2"),
            ("0.0.0.0/0", "240.0.0.1"),
            ("0.0.0.0/1", "1.0.0.2"),
            ("128.0.0.0/1", "128.0.0.2"),
            ("::/0", "4000::1"),
            ("fd00::/64", "fd00::2"),
        ] {
            let probe = Probe {
                network: network(text),
                port: 0,
            };
            assert_eq!(probe.address().to_string(), address, "{text}");
        }
    }

    #[test]
    fn a_full_table_of_routes_is_cut() {
        let networks = (0..1000u32)
            .map(|number| IpNet::new(Ipv4Addr::from(number << 8).into(), 24))
            .map(|network| network.expect("a network"))
            .collect();
        assert_eq!(of(&networks, &Policy::default()).len(), MOST);
    }
}
