//! The groups that are joined on an interface, which the kernel reports by IGMP and MLD.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::netns::NetNs;

/// The groups that are joined on an interface, but for those that the kernel joins by itself and IGMP does not report (`224.0.0.1`,
/// `ff02::1`, those of routers and of neighbour discovery). None where they cannot be read.
pub fn joined(netns: &NetNs, interface: &str) -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let texts = netns.visit(|| {
        [
            read("/proc/thread-self/net/igmp"),
            read("/proc/thread-self/net/igmp6"),
        ]
    });
    let Ok([igmp, igmp6]) = texts else {
        return Vec::new();
    };
    let mut groups = of_igmp(&igmp, interface);
    groups.extend(of_igmp6(&igmp6, interface));
    groups
}

/// `/proc/net/igmp`: a line of each interface, `2\tfab0      :     1      V3`, and below it one of each group, which begins with the
/// group as the host writes a number (`igmp_mc_seq_show`).
fn of_igmp(text: &str, interface: &str) -> Vec<IpAddr> {
    let mut is_here = false;
    let mut groups = Vec::new();
    for line in text.lines().skip(1) {
        if line.starts_with('\t') {
            let group = line.split_whitespace().next().unwrap_or_default();
            if let Ok(number) = u32::from_str_radix(group, 16)
                && is_here
            {
                groups.push(Ipv4Addr::from(number.to_ne_bytes()));
            }
        } else {
            is_here = line.split_whitespace().nth(1) == Some(interface);
        }
    }
    groups.retain(|group| *group != Ipv4Addr::new(224, 0, 0, 1));
    groups.into_iter().map(IpAddr::from).collect()
}

/// All nodes, and all routers, which a host that forwards is one of (RFC 4291, 2.7.1; `ipv6_add_dev`, `dev_forward_change`).
const OF_NODES_AND_ROUTERS: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2),
];

/// `/proc/net/igmp6`: `2 fab0 ff02000000000000000000000000fb 1 00000004 0` (`igmp6_mc_seq_show`).
fn of_igmp6(text: &str, interface: &str) -> Vec<IpAddr> {
    let group = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let is_here = words.next() == Some(interface);
        let number = u128::from_str_radix(words.next()?, 16).ok()?;
        is_here.then(|| Ipv6Addr::from(number))
    };
    let is_kernels = |group: &Ipv6Addr| {
        let [first, .., before, _] = group.segments();
        let is_solicited = first == 0xff02 && before >> 8 == 0xff && group.segments()[5] == 1;
        OF_NODES_AND_ROUTERS.contains(group) || is_solicited
    };
    text.lines()
        .filter_map(group)
        .filter(|group| !is_kernels(group))
        .map(IpAddr::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_an_interface_are_read() {
        let group = u32::from_ne_bytes([239, 1, 1, 1]);
        let all = u32::from_ne_bytes([224, 0, 0, 1]);
        let igmp = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\t\t\t\t{all:08X}     1 0:00000000\t\t0\n\
             2\teth1      :     2      V3\n\t\t\t\t{group:08X}     1 0:00000000\t\t0\n\t\t\t\t{all:08X}     1 0:00000000\t\t0\n"
        );
        let expected: IpAddr = [239, 1, 1, 1].into();
        assert_eq!(of_igmp(&igmp, "eth1"), [expected]);
        assert_eq!(of_igmp(&igmp, "lo"), Vec::<IpAddr>::new());
        let igmp6 = "2 eth1 ff0200000000000000000000000000fb 1 00000004 0\n\
                     2 eth1 ff0200000000000000000001ff000001 1 00000004 0\n\
                     2 eth1 ff020000000000000000000000000001 1 0000000C 0\n\
                     2 eth1 ff010000000000000000000000000002 1 00000004 0\n\
                     2 eth1 ff020000000000000000000000000002 1 00000004 0\n\
                     2 eth1 ff050000000000000000000000000002 1 00000004 0\n\
                     2 eth1 ff0200000000000000000001ff000000 1 00000004 0\n\
                     3 fab0 ff0500000000000000000000000000fb 1 00000004 0\n";
        assert_eq!(
            of_igmp6(igmp6, "eth1"),
            ["ff02::fb".parse::<IpAddr>().expect("a group")]
        );
    }
}
