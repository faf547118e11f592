//! Destinations by what holds for them: traffic by the network that it goes to, and networks by what holds for all that goes there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::traffic::Traffic;

/// What goes to one network.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// The network.
    pub network: IpNet,
    /// What goes there.
    pub traffic: Vec<&'a Traffic>,
}

/// What holds for all that goes to some networks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demand {
    /// By which interfaces it leaves.
    pub via: BTreeSet<String>,
    /// Each socket that may have one has a bound device, and there is one.
    pub pinned: bool,
}

/// Networks with one demand, of which none is in another.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// What holds for them.
    pub demand: Demand,
    /// The networks, in their order.
    pub networks: Vec<Network<'a>>,
}

/// The traffic by network: the longest of all networks here that the destination is in.
fn by_network<'a>(traffic: &[&'a Traffic]) -> Vec<Network<'a>> {
    let all: BTreeSet<IpNet> = traffic.iter().map(|one| one.network.trunc()).collect();
    let mut networks: BTreeMap<IpNet, Vec<&Traffic>> = BTreeMap::new();
    for &one in traffic {
        let host = IpNet::from(one.destination);
        // One that names a network that its destination is not in is a network of its own.
        let network = holders(host, &all).next().unwrap_or(host);
        networks.entry(network).or_default().push(one);
    }
    let networks = networks.into_iter();
    networks
        .map(|(network, traffic)| Network { network, traffic })
        .collect()
}

/// The networks that hold this one, itself among them, the longest first.
fn holders(network: IpNet, all: &BTreeSet<IpNet>) -> impl Iterator<Item = IpNet> {
    let lengths = (0..=network.prefix_len()).rev();
    lengths.filter_map(move |length| {
        let wider = IpNet::new(network.addr(), length).ok()?.trunc();
        all.get(&wider).copied()
    })
}

impl Network<'_> {
    /// What holds for all that goes there.
    fn demand(&self) -> Demand {
        let traffic = || self.traffic.iter();
        Demand {
            via: traffic().map(|one| one.egress_interface.clone()).collect(),
            pinned: traffic().any(|one| one.may_be_pinned())
                && !traffic().any(|one| one.is_unpinned()),
        }
    }
}

/// A network that no other one has the demand of that it is in.
struct Kept<'a> {
    demand: Demand,
    /// The one that it is in.
    above: Option<IpNet>,
    /// How many are in it, and not in another of these, that stand in no rule yet.
    inside: usize,
    network: Network<'a>,
}

/// The groups, in the order in which rules for them have to stand: a network within another's before that one. A network within another with the same
/// demand is that other's.
pub fn groups<'a>(traffic: &[&'a Traffic]) -> Vec<Group<'a>> {
    let mut rest = kept(by_network(traffic));
    let mut groups = Vec::new();
    while let Some(demand) = next(&rest) {
        let is_next = |one: &Kept<'_>| one.inside == 0 && one.demand == demand;
        let places: Vec<IpNet> = rest
            .iter()
            .filter(|(_, one)| is_next(one))
            .map(|(place, _)| *place)
            .collect();
        let mut networks = Vec::new();
        for place in places {
            let Some(one) = rest.remove(&place) else {
                continue;
            };
            if let Some(above) = one.above.and_then(|above| rest.get_mut(&above)) {
                above.inside -= 1;
            }
            networks.push(one.network);
        }
        groups.push(Group { demand, networks });
    }
    groups
}

/// The networks by themselves, those with the demand of the one that they are in put to it.
fn kept(mut networks: Vec<Network<'_>>) -> BTreeMap<IpNet, Kept<'_>> {
    // Those that hold others come first.
    networks.sort_by_key(|one| one.network.prefix_len());
    let mut kept: BTreeMap<IpNet, Kept<'_>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for network in networks {
        let demand = network.demand();
        let above = holders(network.network, &known).next();
        if let Some(above) = above.and_then(|above| kept.get_mut(&above)) {
            if above.demand == demand {
                above.network.traffic.extend(network.traffic);
                continue;
            }
            above.inside += 1;
        }
        known.insert(network.network);
        let one = Kept {
            demand,
            above,
            inside: 0,
            network,
        };
        kept.insert(one.network.network, one);
    }
    kept
}

/// The demand of the next rule: one of which all networks can stand in it, so that it needs no other; else that of the most.
fn next(rest: &BTreeMap<IpNet, Kept<'_>>) -> Option<Demand> {
    let mut counts: BTreeMap<&Demand, (usize, usize)> = BTreeMap::new();
    for one in rest.values() {
        let (can, cannot) = counts.entry(&one.demand).or_default();
        *(if one.inside == 0 { can } else { cannot }) += 1;
    }
    let can_stand = counts.into_iter().filter(|(_, (can, _))| *can > 0);
    let rank = |(_, (can, cannot)): &(&Demand, (usize, usize))| (*cannot == 0, *can);
    let best = can_stand.max_by(|one, other| rank(one).cmp(&rank(other)).then(other.0.cmp(one.0)));
    best.map(|(demand, _)| demand.clone())
}

impl Group<'_> {
    /// As few networks as are the same addresses.
    pub fn destinations(&self) -> Vec<IpNet> {
        let networks: Vec<IpNet> = self.networks.iter().map(|one| one.network).collect();
        let mut destinations = IpNet::aggregate(&networks);
        destinations.sort_by_key(|network| (matches!(network.addr(), IpAddr::V6(_)), *network));
        destinations
    }
}
