//! A draft of a policy: as few rules as explain all that was seen, and nothing that was not.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use pinif_ebpf::policy::{MAX_RULES, MAX_ZONES};

use super::{
    groups::{Demand, Group, Network, groups},
    network::networks,
    page::LearnedPage,
    traffic::Traffic,
};

/// Of at least so many sockets, a few are unusual.
const MANY: u64 = 20;
/// So many of a hundred, or less, are few.
const FEW_PERCENT: u64 = 5;

/// A draft of a policy.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    /// The zones, each with the interfaces that are in it.
    pub zones: BTreeMap<String, BTreeSet<String>>,
    /// The rules, in their order.
    pub rules: Vec<Drafted<'a>>,
    /// All that it was made of.
    pub traffic: Vec<&'a Traffic>,
}

/// A rule of a draft.
#[derive(Clone, Debug)]
pub struct Drafted<'a> {
    /// Its name.
    pub name: String,
    /// The destinations.
    pub destinations: Vec<IpNet>,
    /// The zones by which what goes there may leave.
    pub only_via: BTreeSet<String>,
    /// Whether each socket has to be bound to a device.
    pub pinned: bool,
    /// What it was made of.
    pub traffic: Vec<&'a Traffic>,
    /// What of that is unusual.
    pub unusual: Vec<Unusual<'a>>,
}

/// Something that few sockets do, of many.
#[derive(Clone, Debug)]
pub struct Unusual<'a> {
    /// Where they send to.
    pub network: IpNet,
    /// What they do.
    pub what: Few,
    /// How many sockets go there.
    pub of: u64,
    /// The traffic of the few.
    pub traffic: Vec<&'a Traffic>,
}

/// What few sockets do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Few {
    /// They leave by this interface.
    Via(String),
    /// They have no bound device.
    Unpinned,
}

/// The draft of what was learned.
pub fn draft(learned: &LearnedPage) -> Draft<'_> {
    let traffic = that_leaves(learned);
    let zones = zones(&traffic);
    let mut groups = groups(&traffic);
    if groups.len() > MAX_RULES {
        groups = vec![of_all(&groups)];
    }
    let mut rules: Vec<Drafted<'_>> = groups.iter().map(|group| rule(group, &zones)).collect();
    name(&mut rules);
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (interface, zone) in zones {
        named.entry(zone).or_default().insert(interface);
    }
    Draft {
        zones: named,
        rules,
        traffic,
    }
}

/// What leaves the host at all.
fn that_leaves(learned: &LearnedPage) -> Vec<&Traffic> {
    let networks = networks(&learned.namespaces);
    let stays = |one: &Traffic| {
        let links = &networks.get(one.netns.as_str())?.links;
        let link = links.by_name(&one.egress_interface)?;
        Some(link.loopback || links.leads_nowhere(link))
    };
    let traffic = learned.traffic.iter();
    traffic.filter(|one| stays(one) != Some(true)).collect()
}

/// The zone of each interface: one of its own, as far as there is room. The rest are in one together, those by which least was sent.
fn zones(traffic: &[&Traffic]) -> BTreeMap<String, String> {
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for one in traffic {
        *sent.entry(&one.egress_interface).or_default() += weight(one);
    }
    let mut interfaces: Vec<(&str, u64)> = sent.into_iter().collect();
    interfaces.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let own = if interfaces.len() > MAX_ZONES {
        MAX_ZONES - 1
    } else {
        MAX_ZONES
    };
    let mut names = BTreeSet::new();
    let zones = interfaces.into_iter().enumerate();
    zones
        .map(|(place, (interface, _))| {
            let zone = if place < own {
                unique(&plain(interface), &names)
            } else {
                "other-interfaces".to_owned()
            };
            names.insert(zone.clone());
            (interface.to_owned(), zone)
        })
        .collect()
}

/// An interface's name, as the name of a zone may be.
fn plain(interface: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let letters = interface.chars();
    letters
        .map(|letter| if is_plain(letter) { letter } else { '-' })
        .collect()
}

/// The name, with a number behind it where another has it.
fn unique(name: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut all = std::iter::once(name.to_owned()).chain(numbered);
    // There are infinitely many.
    all.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// One group of all: where there would be more rules than a policy may have.
fn of_all<'a>(groups: &[Group<'a>]) -> Group<'a> {
    let all = || groups.iter();
    Group {
        demand: Demand {
            via: all().flat_map(|group| group.demand.via.clone()).collect(),
            pinned: all().all(|group| group.demand.pinned),
        },
        networks: all().flat_map(|group| group.networks.clone()).collect(),
    }
}

fn rule<'a>(group: &Group<'a>, zones: &BTreeMap<String, String>) -> Drafted<'a> {
    let Demand { via, pinned } = &group.demand;
    let only_via = via.iter().filter_map(|interface| zones.get(interface));
    Drafted {
        name: String::new(),
        destinations: group.destinations(),
        only_via: only_via.cloned().collect(),
        pinned: *pinned,
        traffic: group
            .networks
            .iter()
            .flat_map(|one| one.traffic.clone())
            .collect(),
        unusual: group.networks.iter().flat_map(unusual).collect(),
    }
}

/// Names rules by what they demand.
fn name(rules: &mut [Drafted<'_>]) {
    let mut taken = BTreeSet::new();
    for rule in rules {
        let zones: Vec<&str> = rule.only_via.iter().map(String::as_str).collect();
        let pinned = if rule.pinned { "pinned-" } else { "" };
        let via = match &zones[..] {
            [one, two, three, _, ..] => format!("{one}-{two}-{three}-and-others"),
            few => few.join("-"),
        };
        rule.name = unique(&format!("{pinned}via-{via}"), &taken);
        taken.insert(rule.name.clone());
    }
}

/// What few of the sockets do that send to a network.
fn unusual<'a>(network: &Network<'a>) -> Vec<Unusual<'a>> {
    let few = |what: Few, all: &[&'a Traffic], is: &dyn Fn(&Traffic) -> bool| {
        let of: u64 = all.iter().map(|one| weight(one)).sum();
        let traffic: Vec<&Traffic> = all.iter().copied().filter(|one| is(one)).collect();
        let number: u64 = traffic.iter().map(|one| weight(one)).sum();
        let is_few = number > 0 && of >= MANY && number * 100 <= of * FEW_PERCENT;
        is_few.then_some(Unusual {
            network: network.network,
            what,
            of,
            traffic,
        })
    };
    let via: BTreeSet<&String> = network
        .traffic
        .iter()
        .map(|one| &one.egress_interface)
        .collect();
    let by_interface = via.into_iter().filter_map(|interface| {
        let is = |one: &Traffic| one.egress_interface == *interface;
        few(Few::Via(interface.clone()), &network.traffic, &is)
    });
    let bindable: Vec<&Traffic> = network
        .traffic
        .iter()
        .copied()
        .filter(|one| one.may_be_pinned())
        .collect();
    let unpinned = few(Few::Unpinned, &bindable, &Traffic::is_unpinned);
    by_interface.chain(unpinned).collect()
}

/// As how many sockets it counts.
pub fn weight(traffic: &Traffic) -> u64 {
    traffic.sockets.unwrap_or(1).max(1)
}
