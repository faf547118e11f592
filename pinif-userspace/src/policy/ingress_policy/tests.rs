use super::*;
use crate::host::links::Links;

/// fab0 and fab1 are the backplane, eth0 and eth1 the front; the backplane is contained, and a rule keeps traffic there.
const POLICY: &str = r#"
[zone.backplane]
interfaces = ["fab*"]
contained = true

[zone.front]
interfaces = ["eth*"]

[[rule]]
name = "control-plane"
destination = ["10.0.0.0/8"]
only_via = ["backplane"]

[[rule]]
name = "anywhere"
destination = ["192.0.2.0/24"]
only_via = ["backplane", "front"]
"#;

const BACKPLANE: ZoneSet = ZoneSet(1);

fn policy(text: &str) -> Policy {
    Policy::parse(text, "test").expect("a policy")
}

fn link(index: u32, name: &str) -> Link {
    Link::new(IfIndex(index), name)
}

fn in_controller(link: Link, controller: u32) -> Link {
    Link {
        controller: Some(IfIndex(controller)),
        ..link
    }
}

fn on(link: Link, lower: u32) -> Link {
    Link {
        lower: Some(IfIndex(lower)),
        ..link
    }
}

fn of_kind(link: Link, kind: &str) -> Link {
    Link {
        kind: Some(kind.to_owned()),
        ..link
    }
}

fn network(links: impl IntoIterator<Item = Link>) -> Network {
    let loopback = Link {
        loopback: true,
        ..link(1, "lo")
    };
    Network {
        links: Links::from_iter(std::iter::once(loopback).chain(links)),
        ..Network::default()
    }
}

/// The names of the interfaces where what arrives is watched.
fn names(network: &Network, policy: &Policy) -> Vec<String> {
    let watched = watched(network, policy);
    watched.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn a_policy_for_ingress_says_what_an_interface_protects_and_allows() {
    let network = network([link(2, "fab0"), link(3, "eth1")]);
    let ingress = of(&network, &policy(POLICY));
    let within = IngressPolicy {
        protected: BACKPLANE,
        allowed: BACKPLANE,
        ..IngressPolicy::default()
    };
    assert_eq!(ingress[&IfIndex(2)], within);
    let mut outside = IngressPolicy::default();
    outside.unmet_rules.insert(0);
    assert_eq!(ingress[&IfIndex(3)], outside);
    assert_eq!(names(&network, &policy(POLICY)), ["eth1"]);
}

#[test]
fn a_policy_that_keeps_nothing_inside_makes_no_gates() {
    let network = network([link(2, "fab0"), link(3, "eth1")]);
    for text in [
        "",
        "[zone.front]\ninterfaces = [\"eth*\"]\n\n[[rule]]\nname = \"a\"\nport = 443\npinned = true\n",
    ] {
        assert!(of(&network, &policy(text)).is_empty());
        assert!(watched(&network, &policy(text)).is_empty());
    }
}

#[test]
fn what_carries_the_zone_admits_its_traffic_and_keeps_none() {
    // The VLAN fab0.7 on the trunk eth1, and a bond of the zone with the ports eth2 and eth3.
    let network = network([
        link(2, "eth1"),
        on(link(3, "fab0.7"), 2),
        of_kind(link(4, "fabond"), "bond"),
        in_controller(link(5, "eth2"), 4),
        in_controller(link(6, "eth3"), 4),
        link(7, "eth4"),
    ]);
    let ingress = of(&network, &policy(POLICY));
    for lower in [2, 5, 6] {
        let allows = ingress[&IfIndex(lower)];
        assert_eq!(
            (allows.protected, allows.allowed),
            (ZoneSet::EMPTY, BACKPLANE)
        );
        assert!(allows.is_open(BACKPLANE));
    }
    assert_eq!(names(&network, &policy(POLICY)), ["eth4"]);
}

#[test]
fn a_controller_takes_the_frames_of_its_ports_which_are_not_watched() {
    // A bridge of no zone, with a port of the backplane and, by a bond, two of the front.
    let network = network([
        of_kind(link(2, "br0"), "bridge"),
        in_controller(link(3, "fab0"), 2),
        in_controller(of_kind(link(4, "bond0"), "bond"), 2),
        in_controller(link(5, "eth1"), 4),
    ]);
    let ingress = of(&network, &policy(POLICY));
    assert_eq!(ingress[&IfIndex(2)].allowed, BACKPLANE);
    assert_eq!(ingress[&IfIndex(4)].allowed, ZoneSet::EMPTY);
    assert_eq!(names(&network, &policy(POLICY)), Vec::<String>::new());
    let apart = self::network([
        of_kind(link(2, "br0"), "bridge"),
        in_controller(link(5, "eth1"), 2),
    ]);
    assert_eq!(names(&apart, &policy(POLICY)), ["br0"]);
}

#[test]
fn a_vrf_is_a_domain_and_its_members_are_watched() {
    let network = network([
        of_kind(link(2, "blue"), "vrf"),
        in_controller(link(3, "eth1"), 2),
        link(4, "eth2"),
    ]);
    let ingress = of(&network, &policy(POLICY));
    let domains = [2, 3, 4].map(|index| ingress[&IfIndex(index)].l3mdev.0);
    assert_eq!(domains, [2, 2, 0]);
    assert_eq!(names(&network, &policy(POLICY)), ["eth1", "eth2"]);
}

#[test]
fn controllers_in_a_circle_end() {
    let network = network([
        in_controller(link(2, "a"), 3),
        in_controller(link(3, "b"), 2),
    ]);
    assert_eq!(of(&network, &policy(POLICY)).len(), 3);
}

#[test]
fn what_is_internal_is_not_watched() {
    let network = network([of_kind(link(2, "dummy0"), "dummy"), link(3, "tun0")]);
    assert_eq!(names(&network, &policy(POLICY)), ["tun0"]);
}
