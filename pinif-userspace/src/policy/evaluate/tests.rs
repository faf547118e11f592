//! The judgement against what a policy means, on random policies, networks and packets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pinif_ebpf::enforce::Action;
use pinif_ebpf::packet::Packet;
use pinif_ebpf::sighting::Origin;
use pinif_ebpf::verdict::{CellVerdict, Kind, Severity};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::{Strategy, any};
use proptest::sample::{select, subsequence};
use proptest::{prop_assert_eq, proptest};

use super::*;
use crate::host::{
    addresses::LocalAddress,
    links::{Link, Links},
};
use crate::policy::compile::tests::{Packet as Meant, a_packet, a_policy, matches};
use crate::policy::model::Zone;

const LINKS: u32 = 5;

/// A network in which interfaces lie on top of each other, and share addresses.
fn a_network() -> impl Strategy<Value = Network> {
    let link = (option::of(2..LINKS + 2), any::<bool>());
    let address = ((0u8..3, 0u8..4), 2..LINKS + 2);
    (vec(link, LINKS as usize), btree_set(address, 0..8)).prop_map(|(links, addresses)| {
        let link = |(number, (lower, is_dummy)): (usize, (Option<u32>, bool))| {
            let index = number as u32 + 2;
            let mut link = Link::new(IfIndex(index), format!("if{index}"));
            // Only upwards, so that no interface lies on itself.
            link.lower = lower.filter(|lower| *lower < index).map(IfIndex);
            link.kind = (is_dummy && number == 0).then(|| "dummy".to_owned());
            link
        };
        let mut lo = Link::new(IfIndex::LOOPBACK, "lo");
        lo.loopback = true;
        let links: Links = links.into_iter().enumerate().map(link).collect();
        let mut network = Network {
            links,
            addresses: addresses
                .into_iter()
                .map(|((b, c), index)| LocalAddress {
                    address: IpAddr::from([10, b, 0, c]),
                    index: IfIndex(index),
                    prefix_len: 24,
                })
                .collect(),
        };
        network.links.insert(lo);
        network
    })
}

/// Zones of the interfaces, and what the rules demand of them.
fn a_policy_with_zones() -> impl Strategy<Value = Policy> {
    let zone = (
        subsequence((2..LINKS + 2).collect::<Vec<_>>(), 1..4),
        any::<bool>(),
    );
    let demand = (
        subsequence(vec![0usize, 1, 2], 0..3),
        select(vec![false, false, true]),
    );
    (a_policy(), vec(zone, 3), vec(demand, 1..4)).prop_map(|(mut policy, zones, demands)| {
        let mut text = String::new();
        for (number, (links, contained)) in zones.iter().enumerate() {
            let names: Vec<_> = links.iter().map(|index| format!("\"if{index}\"")).collect();
            text += &format!(
                "[zone.z{number}]\ninterfaces = [{}]\ncontained = {contained}\n",
                names.join(", ")
            );
        }
        policy.zones = Policy::parse(&text, "zones").expect("zones").zones;
        for (number, rule) in policy.rules.iter_mut().enumerate() {
            let (only_via, allows) = &demands[number % demands.len()];
            if *allows {
                rule.pinned = false;
                rule.action = Action::Allow;
            } else {
                rule.only_via = only_via.clone();
            }
        }
        policy
    })
}

/// A packet, and how its socket stands: origin, bound device, names its interface, bound address, egress.
fn a_sent() -> impl Strategy<Value = (Meant, Standing)> {
    let standing = (
        select(vec![Origin::Process, Origin::Kernel, Origin::None]),
        option::of(2..LINKS + 2),
        any::<bool>(),
        option::of((0u8..3, 0u8..4)),
        1..LINKS + 2,
    );
    (a_packet(), standing).prop_map(|(packet, (origin, bound, named, address, egress))| {
        let standing = Standing {
            origin,
            bound: bound.map_or(IfIndex::NONE, IfIndex),
            named,
            address: address.map(|(b, c)| IpAddr::from([10, b, 0, c])),
            egress: IfIndex(egress),
        };
        (packet, standing)
    })
}

#[derive(Clone, Debug)]
struct Standing {
    origin: Origin,
    bound: IfIndex,
    named: bool,
    address: Option<IpAddr>,
    egress: IfIndex,
}

/// Whether a zone names an interface or, where none does, the one that it is on.
fn is_member(policy: &Policy, network: &Network, zone: &Zone, link: &Link) -> bool {
    let names = |zone: &Zone| zone.interfaces.iter().any(|name| name.matches(&link.name));
    if policy.zones.iter().any(names) {
        return names(zone);
    }
    let lower = link.lower.and_then(|lower| network.links.get(lower));
    lower.is_some_and(|lower| is_member(policy, network, zone, lower))
}

/// The table of kinds in README.md, read off it for one packet: the rule, and the kinds that hold.
fn meant(
    policy: &Policy,
    network: &Network,
    packet: &Meant,
    how: &Standing,
) -> (Option<usize>, BTreeSet<(Severity, Kind)>) {
    let mut kinds = BTreeSet::new();
    let is_dummy = |link: &Link| link.kind.as_deref() == Some("dummy");
    if how.egress == IfIndex::LOOPBACK || network.links.get(how.egress).is_some_and(is_dummy) {
        return (None, kinds);
    }
    let pairs = lower_devices(&network.links);
    let way = |upper, lower| upper == lower || pairs.contains(&(upper, lower));
    let is_in = |zone: &Zone, interface: IfIndex| {
        let links = network.links.iter();
        links
            .filter(|link| way(link.index, interface))
            .any(|link| is_member(policy, network, zone, link))
    };
    let rule = policy.rules.iter().position(|rule| matches(rule, packet));
    let pinned = how.bound.is_some();
    if pinned && !way(how.bound, how.egress) {
        let kind = match how.origin {
            Origin::None => Kind::CopyEscape,
            Origin::Process | Origin::Kernel => Kind::DeviceEscape,
        };
        kinds.insert((Severity::Leak, kind));
    }
    if !pinned
        && let Some(owner) = network.sole_owner(packet.source)
        && !way(owner, how.egress)
    {
        let mut kept = policy
            .zones
            .iter()
            .filter(|zone| zone.contained && is_in(zone, owner))
            .peekable();
        let left = kept.peek().is_some() && !kept.any(|zone| is_in(zone, how.egress));
        let severity = if left { Severity::Leak } else { Severity::Risk };
        kinds.insert((severity, Kind::AddressEscape));
    }
    if let Some(rule) = rule.map(|rule| &policy.rules[rule]) {
        let mut allowed = rule.only_via.iter();
        if !rule.only_via.is_empty() && !allowed.any(|&zone| is_in(&policy.zones[zone], how.egress))
        {
            kinds.insert((Severity::Leak, Kind::PolicyEscape));
        }
        if rule.pinned && !pinned && !how.named && how.origin == Origin::Process {
            kinds.insert((Severity::Risk, Kind::Unpinned));
        }
    }
    if pinned
        && let Some(owner) = how.address.and_then(|address| network.sole_owner(address))
        && !way(owner, how.bound)
        && !way(how.bound, owner)
    {
        kinds.insert((Severity::Note, Kind::CrossedBind));
    }
    (rule, kinds)
}

/// Files by their paths, of which one has two.
fn file(path: &Path) -> Option<FileId> {
    let inode = path.to_string_lossy().bytes().map(u64::from).sum();
    Some(FileId { device: 7, inode })
}

proptest! {
    #[test]
    fn it_judges_as_the_policy_means(
        policy in a_policy_with_zones(),
        network in a_network(),
        sent in vec(a_sent(), 20),
    ) {
        let in_force = InForce::with(&policy, file);
        let surroundings = Surroundings::of(&network, &policy);
        for (packet, how) in &sent {
            let headers = Packet {
                source: packet.source.into(),
                destination: packet.destination.into(),
                destination_port: packet.ports.0,
                source_port: packet.ports.1,
                protocol: packet.protocol,
                // What has no ports is of no port; no rule that was checked asks for one of such a protocol.
                later_fragment: packet.ports().is_none(),
                icmp_type: 0,
                tos: 0,
            };
            let sender = Sender {
                user: packet.user,
                cgroup: packet.cgroup.clone(),
                executable: packet.executable.as_deref().and_then(file),
            };
            let traffic = Traffic {
                origin: how.origin,
                bound: how.bound,
                names_interface: how.named,
                bound_address: how.address.map(Address::from),
                packet: Some(&headers),
                egress: how.egress,
                heard: IfIndex::NONE,
            };
            let decision = in_force.judge(&traffic, &sender, &surroundings);
            let (rule, kinds) = meant(&policy, &network, packet, how);
            prop_assert_eq!(rule_of(&decision), rule);
            if rule.is_some_and(|rule| policy.rules[rule].action == Action::Allow) {
                prop_assert_eq!(decision.finding(), None);
                prop_assert_eq!(CellVerdict::from_number(decision.kind), CellVerdict::Allowed);
                continue;
            }
            let gravest = kinds.iter().max_by_key(|(severity, kind)| (*severity, std::cmp::Reverse(*kind)));
            prop_assert_eq!(decision.finding(), gravest.map(|&(severity, kind)| (kind, severity)));
            let found: BTreeSet<Kind> = decision.also.iter().chain(decision.finding().map(|(kind, _)| kind)).collect();
            prop_assert_eq!(found, kinds.into_iter().map(|(_, kind)| kind).collect());
        }
    }
}

#[test]
fn a_program_is_known_by_its_file_whatever_its_path() {
    let own = Path::new("/proc/self/exe");
    let path = std::env::current_exe().expect("a program");
    assert_eq!(
        FileId::at(own, &Mounts::here()).expect("it is there"),
        FileId::at(&path, &Mounts::here()).expect("it is there")
    );
    let text = format!(
        "[zone.inside]\ninterfaces = [\"if3\"]\n[[rule]]\nname = \"own\"\nexecutable = [{path:?}]\nonly_via = [\"inside\"]\n"
    );
    let policy = Policy::parse(&text, "test").expect("a policy");
    let network = Network::default();
    let judge = |executable| {
        let packet = Packet::default();
        let traffic = Traffic {
            origin: Origin::Process,
            bound: IfIndex::NONE,
            names_interface: false,
            bound_address: None,
            packet: Some(&packet),
            egress: IfIndex(2),
            heard: IfIndex::NONE,
        };
        let sender = Sender {
            executable,
            ..Sender::default()
        };
        let surroundings = Surroundings::of(&network, &policy);
        InForce::new(&policy).judge(&traffic, &sender, &surroundings)
    };
    let escaped = judge(Some(FileId::at(own, &Mounts::here()).expect("it is there")));
    assert_eq!(
        escaped.finding(),
        Some((Kind::PolicyEscape, Severity::Leak))
    );
    assert_eq!(rule_of(&escaped), Some(0));
    for other in [None, FileId::at(Path::new("/bin/sh"), &Mounts::here()).ok()] {
        assert_eq!(judge(other), Decision::CONTAINED);
    }
}
