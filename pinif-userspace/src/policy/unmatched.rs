//! What of a policy matches nothing on this host: probably a name that is written otherwise here.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Policy,
    interface_pattern::InterfacePattern,
    problem::{Flaw, Gravity, Problem, quoted},
};
use crate::host::{namespaces::Enter, network::Network};

impl Policy {
    /// Warnings of zones without an interface in any of these networks, of rules whose traffic may leave via such zones alone, and of
    /// rules whose `source` is no address of this host. An interface or an address may still come. Of one namespace, a shell gets there
    /// by `enter`.
    pub fn unmatched(&self, networks: &[&Network], enter: &Enter) -> Vec<Problem> {
        let look = |line: &str| enter.line(line).unwrap_or_else(|| line.to_owned());
        let empty = self.empty_zones(networks);
        let of_zones = empty
            .iter()
            .map(|&zone| self.of_zone(zone, &look("ip link")));
        let of_rules = self.rules.iter().flat_map(|rule| {
            let is_shut = !rule.only_via.is_empty()
                && rule.only_via.iter().all(|zone| empty.contains(zone));
            let has_source = rule.sources.is_empty()
                || networks.iter().any(|network| {
                    let mut addresses = network.addresses.iter();
                    addresses.any(|local| {
                        rule.sources.iter().any(|net| net.contains(&local.address))
                    })
                });
            let name = quoted(&rule.name);
            let shut = is_shut.then(|| {
                Flaw::new(format!(
                    "rule {name} lets its traffic leave only via zones that have no interface here: whatever leaves breaks it"
                ))
                .fix("correct the zones' `interfaces`, or `only_via`")
            });
            let foreign = (!has_source).then(|| {
                Flaw::new(format!(
                    "no interface here has an address in the `source` of rule {name}: it matches forwarded packets alone"
                ))
                .fix(format!("`{}` shows the addresses of this host", look("ip address")))
            });
            shut.into_iter().chain(foreign)
        });
        let of_accepts = self.accepts.iter().filter_map(|accept| {
            let links = || networks.iter().flat_map(|network| network.links.iter());
            let is_here =
                |pattern: &InterfacePattern| links().any(|link| pattern.matches(&link.name));
            let is_empty = !accept.interfaces.is_empty() && !accept.interfaces.iter().any(is_here);
            is_empty.then(|| {
                let place = &accept.place;
                Flaw::new(format!(
                    "no interface here is one that is accepted at {place}"
                ))
                .fix(format!(
                    "`{}` shows the names; one that comes later is accepted",
                    look("ip link")
                ))
            })
        });
        let flaws = of_zones.chain(of_rules).chain(of_accepts);
        flaws
            .map(|flaw| Problem::new(Gravity::Warning, Arc::from(""), flaw))
            .collect()
    }

    /// The zones that no interface is in, by their numbers.
    fn empty_zones(&self, networks: &[&Network]) -> BTreeSet<usize> {
        let mut empty: BTreeSet<usize> = (0..self.zones.len()).collect();
        for network in networks {
            for link in network.links.iter() {
                let zones = self.zones_of(&link.name);
                empty.retain(|&zone| !zones.contains(zone));
            }
        }
        empty
    }

    fn of_zone(&self, zone: usize, links: &str) -> Flaw {
        let zone = &self.zones[zone];
        let patterns: Vec<_> = zone.interfaces.iter().take(3).collect();
        let mut names: Vec<_> = patterns.iter().map(|name| quoted(name.text())).collect();
        if zone.interfaces.len() > names.len() {
            names.push("…".to_owned());
        }
        Flaw::new(format!(
            "zone {} has no interface here: none is named {}",
            quoted(&zone.name),
            names.join(" or ")
        ))
        .fix(format!(
            "`{links}` shows the names; an interface that comes later joins the zone"
        ))
    }
}

#[cfg(test)]
mod tests {
    use pinif_ebpf::key::IfIndex;

    use super::*;
    use crate::host::{addresses::LocalAddress, links::Link};

    const POLICY: &str = "
        [zone.backplane]
        interfaces = [\"fab*\"]
        [zone.front]
        interfaces = [\"eth*\", \"swp1\"]
        [[rule]]
        name = \"inside\"
        destination = \"10.0.0.0/8\"
        only_via = \"backplane\"
        [[rule]]
        name = \"either\"
        source = \"10.0.0.0/8\"
        only_via = [\"backplane\", \"front\"]
    ";

    fn network(link: &str, address: [u8; 4]) -> Network {
        let mut network = Network::default();
        network.links.insert(Link::new(IfIndex(2), link));
        network.addresses.insert(LocalAddress {
            address: address.into(),
            index: IfIndex(2),
            prefix_len: 24,
        });
        network
    }

    fn warnings(networks: &[&Network]) -> Vec<String> {
        let policy = Policy::parse(POLICY, "policy.toml").expect("a policy");
        let warnings = policy.unmatched(networks, &Enter::Own).into_iter();
        warnings.map(|warning| warning.what().to_owned()).collect()
    }

    const NO_BACKPLANE: &str = "zone `backplane` has no interface here: none is named `fab*`";
    const NO_FRONT: &str = "zone `front` has no interface here: none is named `eth*` or `swp1`";
    const SHUT: &str = "rule `inside` lets its traffic leave only via zones that have no interface here: whatever leaves breaks it";
    const FOREIGN: &str = "no interface here has an address in the `source` of rule `either`: it matches forwarded packets alone";

    #[test]
    fn each_zone_and_rule_that_matches_nothing_is_named() {
        let (fab, eth) = (
            network("fab0", [10, 0, 0, 1]),
            network("eth1", [192, 0, 2, 1]),
        );
        assert_eq!(warnings(&[&fab]), [NO_FRONT]);
        assert_eq!(warnings(&[&eth]), [NO_BACKPLANE, SHUT, FOREIGN]);
        assert_eq!(warnings(&[&eth, &fab]), [""; 0]);
        let all = warnings(&[]);
        assert_eq!(all[..3], [NO_BACKPLANE, NO_FRONT, SHUT]);
    }
}
