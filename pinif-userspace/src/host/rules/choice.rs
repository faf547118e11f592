//! Which rule sent a packet to the table that has its route.

use std::net::IpAddr;

use ipnet::IpNet;
use pinif_ebpf::key::IfIndex;

use super::{
    list::Rules,
    rule::{Action, Rule, Selector},
};
use crate::host::{
    links::Links,
    routes::{Route, RouteQuery, RouteType},
};

/// The index of `lo`, which everything that is sent here counts as coming from (`LOOPBACK_IFINDEX`).
const LOOPBACK: IfIndex = IfIndex(1);

/// A packet, as far as rules look at it (`struct flowi`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow<'a> {
    query: &'a RouteQuery,
    /// The protocol that is looked at.
    protocol: Option<u8>,
    /// The ports that are looked at, of the source and of the destination.
    ports: (u16, u16),
    links: &'a Links,
    /// The VRF that it is in (`flowi_l3mdev`).
    vrf: Option<IfIndex>,
}

/// The rule that sent a packet to its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The priority that another rule would have to come before, to be asked about the packet first: the rule's own, or that of the
    /// first one that jumped to it, over all that is between.
    pub place: u32,
}

/// Whether a selector takes a packet: certain or not.
type Taken = Option<bool>;

impl<'a> Flow<'a> {
    /// The packet of a query, in a namespace that has these interfaces, as the kernel looks at it where it is asked.
    pub fn of(query: &'a RouteQuery, links: &'a Links) -> Self {
        // l3mdev_update_flow
        let device = query
            .output
            .or(query.input)
            .and_then(|index| links.get(index));
        let vrf = device.and_then(|link| {
            let controller = link.controller.and_then(|index| links.get(index));
            [Some(link), controller]
                .into_iter()
                .flatten()
                .find(|link| link.vrf_table.is_some())
                .map(|link| link.index)
        });
        Self {
            query,
            protocol: query.asked_protocol(),
            ports: query.asked_ports(),
            links,
            vrf,
        }
    }

    /// The same as the kernel looks at it where it routes the packet: of SCTP, DCCP and UDP-Lite with their ports (`sctp_v4_get_dst`,
    /// `dccp_v4_connect`, `udp_sendmsg`); of others without.
    pub fn routed(query: &'a RouteQuery, links: &'a Links) -> Self {
        let with_ports = [
            libc::IPPROTO_TCP,
            libc::IPPROTO_UDP,
            libc::IPPROTO_SCTP,
            libc::IPPROTO_DCCP,
            libc::IPPROTO_UDPLITE,
        ];
        let has_ports = query
            .protocol
            .is_some_and(|protocol| with_ports.contains(&i32::from(protocol)));
        let port = |port: Option<u16>| port.filter(|_| has_ports).unwrap_or_default();
        Self {
            protocol: query.protocol,
            ports: (port(query.source_port), port(query.destination_port)),
            ..Self::of(query, links)
        }
    }

    fn vrf_table(&self) -> Option<u32> {
        self.links.get(self.vrf?)?.vrf_table
    }

    /// Whether the interface that a rule names is the packet's.
    fn is_on(&self, name: &str, index: Option<IfIndex>) -> Taken {
        // A rule of an interface that is not there takes nothing, until it comes.
        let Some(link) = self.links.by_name(name) else {
            return Some(false);
        };
        if link.vrf_table.is_some() && self.vrf == Some(link.index) {
            // Not since the VRF is a part of the flow of its own (5.18); again since 6.15 (`fib_rule_iif_match`).
            return None;
        }
        Some(index == Some(link.index))
    }
}

impl Selector {
    /// Whether the rule takes the packet; nothing where that is not certain.
    pub fn takes(&self, flow: &Flow<'_>) -> Option<bool> {
        let query = flow.query;
        let input = query.input.unwrap_or(LOOPBACK);
        let ports = flow.ports;
        // The two bits of congestion notification are no part of it; nor, in IPv4, the upper three (`fib4_rule_match`, `IPTOS_RT_MASK`).
        let tos = query.tos
            & if query.destination.is_ipv4() {
                0x1c
            } else {
                0xfc
            };
        let checks: [Taken; 12] = [
            Some(within(self.from, query.source)),
            Some(within(self.to, Some(query.destination))),
            Some(self.tos == 0 || self.tos & !3 == tos),
            Some(
                self.mark
                    .is_none_or(|(mark, mask)| (mark ^ query.mark) & mask == 0),
            ),
            named(&self.input, |name| {
                if name == "lo" {
                    Some(input == LOOPBACK)
                } else {
                    flow.is_on(name, Some(input))
                }
            }),
            named(&self.output, |name| flow.is_on(name, query.output)),
            // Without a user, root sends, and root forwards (`sock_net_uid`).
            Some(holds(&self.users, |users| {
                users.contains(&query.uid.unwrap_or(0))
            })),
            Some(
                self.protocol
                    .is_none_or(|protocol| flow.protocol == Some(protocol)),
            ),
            Some(holds(&self.source_ports, |range| range.contains(&ports.0))),
            Some(holds(&self.destination_ports, |range| {
                range.contains(&ports.1)
            })),
            // Only what came out of a tunnel has one.
            Some(self.tunnel == 0),
            Some(!self.l3mdev || flow.vrf.is_some()),
        ];
        let unknown = self.more.then_some(None);
        let taken = checks.into_iter().chain(unknown).fold(Some(true), and);
        taken.map(|taken| taken != self.inverted)
    }
}

/// Both, as far as that is known.
fn and(one: Taken, other: Taken) -> Taken {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), other) => other,
        (None, _) => None,
    }
}

fn holds<T>(wanted: &Option<T>, is: impl FnOnce(&T) -> bool) -> bool {
    wanted.as_ref().is_none_or(is)
}

fn named(name: &Option<String>, is: impl FnOnce(&str) -> Taken) -> Taken {
    name.as_deref().map_or(Some(true), is)
}

/// An address that is not known yet is the unspecified one.
fn within(network: Option<IpNet>, address: Option<IpAddr>) -> bool {
    match (network, address) {
        (None, _) => true,
        (Some(network), Some(address)) => network.contains(&address),
        (Some(network), None) => network.prefix_len() == 0,
    }
}

impl Rules {
    /// The rules that take a packet, or may, in the order in which the kernel asks them (`fib_rules_lookup`); each with whether it is
    /// certain. One that jumps for certain is followed, and not among them.
    fn taking<'a>(&'a self, flow: &Flow<'_>) -> impl Iterator<Item = (Chosen<'a>, bool)> {
        let mut at = 0;
        let mut jumped = None;
        std::iter::from_fn(move || {
            while let Some(rule) = self.0.get(at) {
                at += 1;
                let taken = rule.selector.takes(flow);
                match (taken, rule.action) {
                    (Some(false), _) => {}
                    (Some(true), Action::Goto(target)) => {
                        let mut ahead = self.0[at..].iter();
                        if let Some(ahead) = ahead.position(|rule| rule.priority >= target)
                            && self.0[at + ahead].priority == target
                        {
                            at += ahead;
                            jumped = jumped.or(Some(rule.priority));
                        }
                    }
                    _ => {
                        let place = jumped.unwrap_or(rule.priority);
                        return Some((Chosen { rule, place }, taken == Some(true)));
                    }
                }
            }
            None
        })
    }

    /// The rule that sent a packet to the table in which the kernel found its route. Nothing where more than one may have
    /// been.
    ///
    /// `group` answers with the group of an interface, for rules with `suppress_ifgroup`.
    pub fn chosen(
        &self,
        flow: &Flow<'_>,
        route: &Route,
        group: &mut dyn FnMut(IfIndex) -> Option<u32>,
    ) -> Option<Chosen<'_>> {
        let mut candidates: Vec<Chosen<'_>> = Vec::new();
        for (chosen, is_certain) in self.taking(flow) {
            match chosen.rule.action {
                // One that may or may not jump leaves more than one way.
                Action::Goto(_) => return None,
                Action::Table { .. } => match chosen.rule.leads_to(flow, route, group) {
                    Some(false) => {}
                    Some(true) if is_certain => {
                        candidates.push(chosen);
                        break;
                    }
                    Some(true) | None => candidates.push(chosen),
                },
                Action::Nop => {}
                // The packet was routed all the same, so these did not take it.
                Action::Blackhole | Action::Unreachable | Action::Prohibit | Action::Other(_) => {}
            }
        }
        match &candidates[..] {
            [_] => candidates.pop(),
            _ => None,
        }
    }
}

impl Rules {
    /// The rule and the route that a packet follows, where the kernel answers no question about it: `in_table` has the route of a table.
    /// Nothing where a rule that may or may not take it stands before that, or one that looks at the interface's group, or where a table
    /// cannot be read, or what it follows leads nowhere.
    pub fn first_route<E>(
        &self,
        flow: &Flow<'_>,
        in_table: impl Fn(u32) -> Result<Option<Route>, E>,
    ) -> Option<(Chosen<'_>, Route)> {
        for (chosen, is_certain) in self.taking(flow) {
            let rule = chosen.rule;
            match rule.action {
                Action::Table { .. } if is_certain => {}
                Action::Nop => continue,
                _ => return None,
            }
            let Some(route) = in_table(rule.table(flow)?).ok()? else {
                continue;
            };
            let is_followed = rule.leads_to(flow, &route, &mut |_| None)?;
            match route.kind {
                _ if !is_followed => {}
                RouteType::Throw => {}
                RouteType::Unicast | RouteType::Local => return Some((chosen, route)),
                _ => return None,
            }
        }
        None
    }
}

impl Rule {
    /// The table that it leads a packet to; none where it leads to none.
    fn table(&self, flow: &Flow<'_>) -> Option<u32> {
        let Action::Table { table, .. } = self.action else {
            return None;
        };
        let of_vrf = flow.vrf_table().filter(|_| self.selector.l3mdev);
        Some(of_vrf.unwrap_or(table))
    }

    /// Whether this route is what comes of the rule, once it takes a packet; nothing where that is not certain.
    fn leads_to(
        &self,
        flow: &Flow<'_>,
        route: &Route,
        group: &mut dyn FnMut(IfIndex) -> Option<u32>,
    ) -> Option<bool> {
        let Action::Table {
            suppressed_length,
            suppressed_group,
            ..
        } = self.action
        else {
            return Some(false);
        };
        if self.table(flow) != Some(route.table) {
            return Some(false);
        }
        if suppressed_length.is_some_and(|length| route.prefix.prefix_len() <= length) {
            return Some(false);
        }
        let Some(suppressed) = suppressed_group else {
            return Some(true);
        };
        let group = route.output.and_then(group);
        group.map(|group| group != suppressed)
    }
}
