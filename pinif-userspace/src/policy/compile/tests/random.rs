//! Random policies and packets, and what a rule means of a packet.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf};

use ipnet::IpNet;
use pinif_ebpf::packet::protocol::has_ports;
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};

use crate::policy::{Policy, Rule};

/// All of a packet that rules look at.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Packet {
    pub(in crate::policy) destination: IpAddr,
    pub(in crate::policy) source: IpAddr,
    pub(in crate::policy) protocol: u8,
    /// Destination and source port, for protocols that have them.
    pub(in crate::policy) ports: (u16, u16),
    pub(in crate::policy) user: Option<u32>,
    pub(in crate::policy) cgroup: Option<String>,
    pub(in crate::policy) executable: Option<PathBuf>,
}

impl Packet {
    pub(in crate::policy) fn ports(&self) -> Option<(u16, u16)> {
        has_ports(self.protocol).then_some(self.ports)
    }
}

/// What a rule means, read off its documentation.
pub(in crate::policy) fn matches(rule: &Rule, packet: &Packet) -> bool {
    fn one_of<T>(list: &[T], matches: impl Fn(&T) -> bool) -> bool {
        list.is_empty() || list.iter().any(matches)
    }
    let below = |above: &String, path: &String| {
        path == above || path.starts_with(&format!("{}/", above.trim_end_matches('/')))
    };
    one_of(&rule.destinations, |net| net.contains(&packet.destination))
        && one_of(&rule.sources, |net| net.contains(&packet.source))
        && one_of(&rule.ports, |range| {
            packet
                .ports()
                .is_some_and(|(port, _)| range.contains(&port))
        })
        && one_of(&rule.source_ports, |range| {
            packet
                .ports()
                .is_some_and(|(_, port)| range.contains(&port))
        })
        && one_of(&rule.protocols, |protocol| *protocol == packet.protocol)
        && one_of(&rule.users, |user| Some(*user) == packet.user)
        && one_of(&rule.cgroups, |above| {
            packet
                .cgroup
                .as_ref()
                .is_some_and(|path| below(above, path))
        })
        && one_of(&rule.executables, |path| {
            Some(path) == packet.executable.as_ref()
        })
}

// Values from a small range, so that rules overlap and packets meet them.

fn an_address() -> impl Strategy<Value = IpAddr> {
    let v4 = (select(vec![10u8, 11, 192]), 0u8..3, 0u8..4)
        .prop_map(|(a, b, c)| IpAddr::from([a, b, 0, c]));
    let v6 = (select(vec![0u16, 0xfd00, 0xfd01, 0xfe80]), 0u16..4)
        .prop_map(|(a, h)| IpAddr::from([a, 0, 0, 0, 0, 0, 0, h]));
    prop_oneof![v4, v6]
}

fn a_net() -> impl Strategy<Value = IpNet> {
    (an_address(), any::<u8>(), any::<bool>()).prop_map(|(address, length, short)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = if short {
            length % 17
        } else {
            longest - length % 9
        };
        IpNet::new(address, length)
            .expect("a length of the family")
            .trunc()
    })
}

pub(in crate::policy) fn a_port() -> impl Strategy<Value = u16> {
    prop_oneof![0u16..20, 65520u16..=65535, any::<u16>()]
}

pub(in crate::policy) fn a_range() -> impl Strategy<Value = RangeInclusive<u16>> {
    (a_port(), a_port()).prop_map(|(one, other)| one.min(other)..=one.max(other))
}

fn a_protocol() -> impl Strategy<Value = u8> {
    select(vec![1u8, 6, 17, 47, 132])
}

fn a_cgroup() -> impl Strategy<Value = String> {
    select(vec!["/", "/a", "/a/b", "/a/b/c", "/ab", "/b"]).prop_map(str::to_owned)
}

fn an_executable() -> impl Strategy<Value = PathBuf> {
    select(vec!["/bin/a", "/bin/b", "/bin/c"]).prop_map(PathBuf::from)
}

/// Mostly no constraint, so that rules match at all.
fn some<S: Strategy>(values: S) -> impl Strategy<Value = Vec<S::Value>>
where
    S::Value: Clone,
{
    prop_oneof![2 => Just(Vec::new()), 1 => vec(values, 1..4)]
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let packet = (
        some(a_net()),
        some(a_net()),
        some(a_range()),
        some(a_range()),
        some(a_protocol()),
    );
    let sender = (some(0u32..3), some(a_cgroup()), some(an_executable()));
    (packet, sender, any::<bool>()).prop_map(|(packet, sender, pinned)| Rule {
        destinations: packet.0,
        sources: packet.1,
        ports: packet.2,
        source_ports: packet.3,
        protocols: packet.4,
        users: sender.0,
        cgroups: sender.1,
        executables: sender.2,
        pinned,
        ..Rule::default()
    })
}

pub(in crate::policy) fn a_policy() -> impl Strategy<Value = Policy> {
    // Some policies have rules in more than one word of the sets.
    prop_oneof![8 => vec(a_rule(), 0..8), 1 => vec(a_rule(), 60..80)].prop_map(|rules| Policy {
        rules,
        ..Policy::default()
    })
}

pub(in crate::policy) fn a_packet() -> impl Strategy<Value = Packet> {
    let who = (
        option::of(0u32..4),
        option::of(a_cgroup()),
        option::of(an_executable()),
    );
    let what = (
        an_address(),
        an_address(),
        a_protocol(),
        (a_port(), a_port()),
    );
    (what, who).prop_map(
        |((destination, source, protocol, ports), (user, cgroup, executable))| Packet {
            destination,
            source,
            protocol,
            ports,
            user,
            cgroup,
            executable,
        },
    )
}
