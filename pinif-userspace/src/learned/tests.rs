//! The draft of random traffic yields no finding for the same traffic, and one for what differs from it.

use pinif_ebpf::verdict::Kind;
use proptest::prelude::*;

use super::{
    LearnedNamespace, LearnedPage, Sender, Traffic,
    draft::{Drafted, draft},
    network::LearnedInterface,
    tried, written,
};
use crate::policy::Policy;

mod rules;

/// The interfaces by which traffic leaves, and one by which none does.
const INTERFACES: [&str; 4] = ["fab0", "eth[1]", "eth1.100", "new0"];
const NEW: &str = INTERFACES[3];
/// Cgroups of which one is in another.
const CGROUPS: [&str; 3] = ["/a.slice", "/a.slice/b.service", "/c.slice"];
/// TCP, UDP and ICMP, as a policy names them.
const PROTOCOLS: [(u8, &str); 3] = [(6, "tcp"), (17, "udp"), (1, "icmp")];
const PORTS: [u16; 3] = [22, 53, 8_080];
/// Networks that hold each other, of both families.
const NETWORKS: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.1.1.7/32",
    "::/0",
    "fd00::/64",
];

fn card() -> LearnedNamespace {
    let interface = |(name, index): (&&str, u32)| LearnedInterface {
        index,
        name: (*name).to_owned(),
        kind: None,
        loopback: false,
        controller: None,
        lower: None,
        peer: None,
        ring: Vec::new(),
        tunnel: false,
        addresses: Vec::new(),
    };
    LearnedNamespace {
        name: "card".to_owned(),
        interfaces: INTERFACES.iter().zip(2..).map(interface).collect(),
    }
}

fn page(traffic: Vec<Traffic>) -> LearnedPage {
    LearnedPage {
        time: "2026-01-02T00:00:00.000000Z".to_owned(),
        since: "2026-01-01T00:00:00.000000Z".to_owned(),
        total: traffic.len() as u64,
        namespaces: vec![card()],
        traffic,
        ..LearnedPage::default()
    }
}

/// Traffic of some sender to an address of a network, by an interface that its socket is bound to or that a route chose.
fn traffic() -> impl Strategy<Value = Traffic> {
    let network = 0..NETWORKS.len();
    let origin = prop_oneof![
        4 => Just(Sender::Process),
        1 => Just(Sender::Kernel),
        1 => Just(Sender::Socketless),
    ];
    let rest = (any::<bool>(), 1u64..60, 0u8..4, any::<bool>());
    let service = (
        0..PROTOCOLS.len(),
        proptest::option::of(0..PORTS.len()),
        any::<bool>(),
        0..CGROUPS.len(),
    );
    (network, any::<u128>(), 0usize..3, origin, rest, service).prop_map(
        |(network, host, via, origin, (is_bound, sockets, program, is_packet), service)| {
            let (protocol, port, serves, cgroup) = service;
            let protocol = PROTOCOLS[protocol].0;
            let port = port.filter(|_| protocol != 1).map(|port| PORTS[port]);
            let network: ipnet::IpNet = NETWORKS[network].parse().expect("a network");
            let is_process = origin == Sender::Process;
            let destination = match network {
                ipnet::IpNet::V4(v4) => {
                    let bits = u32::from(v4.network()) | host as u32 & u32::from(v4.hostmask());
                    std::net::Ipv4Addr::from(bits).into()
                }
                ipnet::IpNet::V6(v6) => {
                    let bits = u128::from(v6.network()) | host & u128::from(v6.hostmask());
                    // Else it is an address of IPv4.
                    std::net::Ipv6Addr::from(bits | 1 << 127).into()
                }
            };
            let network = if network.contains(&destination) {
                network
            } else {
                "::/0".parse().expect("a network")
            };
            let interface = INTERFACES[via].to_owned();
            Traffic {
                netns: "card".to_owned(),
                origin,
                exe: is_process.then(|| executable(program)),
                comm: is_process.then(|| "p\u{202e}".to_owned()),
                uid: is_process.then_some(program.into()),
                cgroup: is_process.then(|| CGROUPS[cgroup].to_owned()),
                protocol,
                port,
                serves: serves && port.is_some(),
                source: None,
                destination,
                network,
                bound_device: (is_process && is_bound).then(|| interface.clone()),
                egress_interface: interface,
                names_interface: is_process && is_packet,
                sockets: is_process.then_some(sockets),
                first_seen: "2026-01-01T00:00:01.000000Z".to_owned(),
                last_seen: "2026-01-01T00:00:02.000000Z".to_owned(),
            }
        },
    )
}

/// Programs, of which the first has a name that would be a rule, if it were written into a draft as it is.
fn executable(number: u8) -> String {
    let more = if number == 0 { "\n[[rule]]" } else { "" };
    format!("/bin/p{number}{more}")
}

fn policy_of(learned: &LearnedPage) -> Policy {
    let text = written(&draft(learned), learned);
    let policy = Policy::parse(&text, "draft.toml");
    policy.unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The kinds of what would be found of one packet alone.
fn kinds(one: Traffic, policy: &Policy) -> Vec<Kind> {
    let broken = tried(&page(vec![one]), policy).broken;
    broken.into_iter().map(|one| one.kind).collect()
}

proptest! {
    #[test]
    fn the_same_traffic_is_no_finding_and_what_differs_is_one(
        traffic in proptest::collection::vec(traffic(), 1..40),
        chosen in any::<prop::sample::Index>(),
    ) {
        let learned = page(traffic);
        let policy = policy_of(&learned);
        let trial = tried(&learned, &policy);
        prop_assert_eq!(trial.broken.len(), 0, "{:?}", trial.broken);
        prop_assert_eq!(trial.not_judged, 0);

        let one = chosen.get(&learned.traffic);
        let elsewhere = Traffic {
            egress_interface: NEW.to_owned(),
            bound_device: one.bound_device.as_ref().map(|_| NEW.to_owned()),
            ..one.clone()
        };
        prop_assert_eq!(kinds(elsewhere, &policy), [Kind::PolicyEscape]);

        let unpinned = Traffic { bound_device: None, ..one.clone() };
        let draft = draft(&learned);
        let mut rules = draft.rules.iter();
        let rule = rules.find(|rule| rule.traffic.contains(&one)).expect("a rule for it");
        let expected = if rule.pinned && one.may_be_pinned() { vec![Kind::Unpinned] } else { vec![] };
        prop_assert_eq!(kinds(unpinned, &policy), expected);

        // A socket that is bound to another device than it leaves by is found without any policy.
        let crossed = Traffic { bound_device: Some(NEW.to_owned()), ..one.clone() };
        let expected = if one.origin == Sender::Socketless { Kind::CopyEscape } else { Kind::DeviceEscape };
        prop_assert_eq!(kinds(crossed, &policy), [expected]);

        // A draft says where to and how, and not who: nothing more was seen of those who did not send.
        let by_another = Traffic {
            exe: one.exe.as_ref().map(|_| "/bin/another".to_owned()),
            uid: one.uid.map(|_| 4_711),
            cgroup: one.cgroup.as_ref().map(|_| "/another.slice".to_owned()),
            protocol: 132,
            port: Some(1),
            serves: !one.serves,
            ..one.clone()
        };
        prop_assert_eq!(kinds(by_another, &policy), vec![]);

        // Nor of networks to which nobody sent: each destination is in the longest of all.
        let longest = |of: std::net::IpAddr| {
            let all = learned.traffic.iter().map(|one| one.network);
            let around = all.filter(|network| network.contains(&of));
            around.max_by_key(ipnet::IpNet::prefix_len).expect("its own")
        };
        for destination in ["192.0.2.1", "10.128.0.1", "10.1.2.1", "2001:db8::1", "fd00:0:0:1::1"] {
            let destination: std::net::IpAddr = destination.parse().expect("an address");
            let mut sent_to = learned.traffic.iter().map(|one| longest(one.destination));
            let is_seen = sent_to.any(|network| network.contains(&destination));
            let bound_device = one.bound_device.as_ref().map(|_| NEW.to_owned());
            let egress_interface = NEW.to_owned();
            let there = Traffic { destination, bound_device, egress_interface, ..one.clone() };
            let expected = if is_seen { vec![Kind::PolicyEscape] } else { vec![] };
            prop_assert_eq!(kinds(there, &policy), expected);
        }
    }

    /// Two rules with one demand are apart only where a network of the earlier one is in one of a rule between them, whose own is in one of the later
    /// rule's.
    #[test]
    fn there_is_no_rule_too_many(traffic in proptest::collection::vec(traffic(), 1..40)) {
        let learned = page(traffic);
        let draft = draft(&learned);
        let names: std::collections::BTreeSet<_> = draft.rules.iter().map(|rule| &rule.name).collect();
        prop_assert_eq!(names.len(), draft.rules.len());
        let holds = |around: &Drafted<'_>, within: &Drafted<'_>| {
            let mut pairs = around.destinations.iter().flat_map(|around| {
                within.destinations.iter().map(move |within| (around, within))
            });
            pairs.any(|(around, within)| around != within && around.contains(within))
        };
        for (place, rule) in draft.rules.iter().enumerate() {
            for (number, other) in draft.rules.iter().enumerate().skip(place + 1) {
                if (&rule.only_via, rule.pinned) == (&other.only_via, other.pinned) {
                    let between = &draft.rules[place + 1..number];
                    let is_needed = between.iter().any(|between| holds(other, between));
                    prop_assert!(is_needed, "{rule:?} and {other:?}");
                }
            }
        }
    }
}

/// One socket of fabricd, as others are.
fn of_fabricd(destination: &str, via: &str, bound: bool, sockets: u64) -> Traffic {
    let destination: std::net::IpAddr = destination.parse().expect("an address");
    Traffic {
        netns: "card".to_owned(),
        origin: Sender::Process,
        exe: Some("/usr/sbin/fabricd".to_owned()),
        comm: Some("fabricd".to_owned()),
        uid: Some(0),
        cgroup: Some("/system.slice/fabricd.service".to_owned()),
        protocol: 6,
        port: Some(179),
        serves: false,
        source: None,
        destination,
        network: super::usual_network(destination),
        bound_device: bound.then(|| via.to_owned()),
        egress_interface: via.to_owned(),
        names_interface: false,
        sockets: Some(sockets),
        first_seen: "2026-01-01T00:00:01.000000Z".to_owned(),
        last_seen: "2026-01-01T23:00:02.000000Z".to_owned(),
    }
}

#[test]
fn a_draft_has_its_evidence_and_sets_apart_what_few_do() {
    let learned = page(vec![
        of_fabricd("10.0.0.2", "fab0", true, 98),
        of_fabricd("10.0.0.3", "fab0", false, 1),
        of_fabricd("10.0.0.2", "eth1.100", true, 1),
        of_fabricd("fd00::2", "fab0", true, 3),
    ]);
    let text = written(&draft(&learned), &learned);
    assert_eq!(
        text,
        r#"# A draft by `pinif learn` of what was seen from 2026-01-01T00:00:00.000000Z to 2026-01-02T00:00:00.000000Z:
# 103 sockets of 1 sender.
# It allows what was seen, right or wrong. Read each rule before it comes into force, and try it:
# `pinif policy check FILE`, `pinif policy test FILE`.
# Of what must stay inside a zone nothing is known here: add `contained = true` to such a zone.

[zone."eth1.100"]
interfaces = ["eth1.100"]

[zone.fab0]
interfaces = ["fab0"]

# Seen: 100 sockets, from 2026-01-01T00:00:01.000000Z to 2026-01-01T23:00:02.000000Z
#   /usr/sbin/fabricd (uid 0): 100 sockets via eth1.100 and fab0, 1 bound to no device
# Unusual: 1 of 100 to 10.0.0.0/24 left via eth1.100 (by /usr/sbin/fabricd). If that was wrong, say instead:
#   only_via = ["fab0"]
# Unusual: 1 of 100 to 10.0.0.0/24 were bound to no device (by /usr/sbin/fabricd). If that was wrong, add:
#   pinned = true
[[rule]]
name = "via-eth1.100-fab0"
destination = ["10.0.0.0/24"]
only_via = ["eth1.100", "fab0"]

# Seen: 3 sockets, from 2026-01-01T00:00:01.000000Z to 2026-01-01T23:00:02.000000Z
#   /usr/sbin/fabricd (uid 0): 3 sockets via fab0, all bound to a device
[[rule]]
name = "pinned-via-fab0"
destination = ["fd00::/64"]
only_via = ["fab0"]
pinned = true
"#
    );
}

#[test]
fn a_policy_is_tried_by_program_user_and_port() {
    let learned = page(vec![
        of_fabricd("10.0.0.2", "fab0", true, 98),
        of_fabricd("10.0.0.2", "eth1.100", false, 2),
    ]);
    let policy = r#"
        [zone.inside]
        interfaces = "fab0"
        [[rule]]
        name = "bgp"
        executable = "/usr/sbin/fabricd"
        user = 0
        cgroup = "/system.slice"
        port = 179
        protocol = "tcp"
        only_via = "inside"
        pinned = true
    "#;
    let found = |policy: &str| {
        let policy = Policy::parse(policy, "policy.toml").expect("a policy");
        let trial = tried(&learned, &policy);
        let broken = trial.broken.into_iter();
        let broken = broken.map(|one| (one.kind, one.rule, one.amount.sockets));
        (broken.collect::<Vec<_>>(), trial.judged.sockets)
    };
    let expected = (Kind::PolicyEscape, Some("bgp".to_owned()), 2);
    assert_eq!(found(policy), (vec![expected], 100));
    for (own, other) in [
        ("/usr/sbin/fabricd", "/usr/sbin/other"),
        ("user = 0", "user = 1"),
        ("/system.slice", "/user.slice"),
        ("179", "180"),
        ("tcp", "udp"),
    ] {
        assert_eq!(found(&policy.replace(own, other)), (vec![], 100), "{other}");
    }
}

#[test]
fn what_is_learned_is_read_back_as_it_was_written() {
    let learned = page(vec![of_fabricd("fd00::2", "fab0", true, 3)]);
    let text = crate::text::json::line(&learned).expect("JSON");
    let read: LearnedPage = serde_json::from_str(&text).expect("it is read");
    assert_eq!(read, learned);
}
