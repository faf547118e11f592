//! Which route a packet takes, as the kernel's own look-up tells, and the rule that chose it.

mod answer;
mod error;

use std::{io, net::IpAddr};

use netlink_packet_core::Parseable;
use netlink_packet_route::{
    AddressFamily,
    link::{LinkAttribute, LinkMessage},
    route::{RouteAttribute, RouteFlags, RouteMessage},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::{
    links::Links,
    netlink::Requester,
    netns::NetNs,
    numbering::Numbering,
    rules::{Flow, Rule, Rules},
    tables::{RT_TABLE_LOCAL, RT_TABLE_MAIN},
};

pub use answer::{Hop, Route, RouteProtocol, RouteType, kind_name, table_name};
pub use error::RouteError;

/// A packet, as far as routing looks at it (`struct flowi`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteQuery {
    /// Where it goes.
    pub destination: IpAddr,
    /// Its source address, where it has one before it is routed. IPv4 wants one of the host's own.
    pub source: Option<IpAddr>,
    /// The interface that it is bound to, or that it names.
    pub output: Option<IfIndex>,
    /// The interface that it came in by, where it is forwarded; then it has a source.
    pub input: Option<IfIndex>,
    /// Its mark (`SO_MARK`); zero is none.
    pub mark: u32,
    /// The user that sends it; without one, root does.
    pub uid: Option<u32>,
    /// Its IP protocol. The kernel's look-up knows TCP, UDP and ICMP; others are asked for without.
    pub protocol: Option<u8>,
    /// Its source port, in host byte order.
    pub source_port: Option<u16>,
    /// Its destination port, in host byte order.
    pub destination_port: Option<u16>,
    /// Its type of service or traffic class (`IP_TOS`, `IPV6_TCLASS`); zero where it is not known.
    pub tos: u8,
}

impl RouteQuery {
    /// A packet of which only the destination is known.
    pub fn to(destination: IpAddr) -> Self {
        Self {
            destination,
            source: None,
            output: None,
            input: None,
            mark: 0,
            uid: None,
            protocol: None,
            source_port: None,
            destination_port: None,
            tos: 0,
        }
    }

    /// The protocol that the kernel is asked with: `rtm_getroute_parse_ip_proto` knows no more than these, and refuses the
    /// others.
    pub(super) fn asked_protocol(&self) -> Option<u8> {
        let known = [libc::IPPROTO_TCP, libc::IPPROTO_UDP, self.icmp()];
        self.protocol
            .filter(|protocol| known.contains(&i32::from(*protocol)))
    }

    /// The ports that the kernel is asked with; zero where it is asked without.
    pub(super) fn asked_ports(&self) -> (u16, u16) {
        match self.asked_protocol() {
            Some(protocol) if i32::from(protocol) != self.icmp() => (
                self.source_port.unwrap_or_default(),
                self.destination_port.unwrap_or_default(),
            ),
            _ => (0, 0),
        }
    }

    fn icmp(&self) -> i32 {
        if self.destination.is_ipv4() {
            libc::IPPROTO_ICMP
        } else {
            libc::IPPROTO_ICMPV6
        }
    }

    fn message(&self, flags: RouteFlags, numbering: Numbering) -> RouteMessage {
        let bits = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = if self.destination.is_ipv4() {
            AddressFamily::Inet
        } else {
            AddressFamily::Inet6
        };
        header.destination_prefix_length = bits(self.destination);
        header.flags = flags;
        header.tos = self.tos;
        let attributes = &mut message.attributes;
        attributes.push(RouteAttribute::Destination(self.destination.into()));
        if let Some(source) = self.source.filter(|source| !source.is_unspecified()) {
            message.header.source_prefix_length = bits(source);
            attributes.push(RouteAttribute::Source(source.into()));
        }
        attributes.extend(
            self.output
                .filter(|index| index.is_some())
                .map(|index| RouteAttribute::Oif(numbering.stand_in(index).0)),
        );
        attributes.extend(
            self.input
                .map(|index| RouteAttribute::Iif(numbering.stand_in(index).0)),
        );
        if self.mark != 0 {
            attributes.push(RouteAttribute::Mark(self.mark));
        }
        attributes.extend(self.uid.map(RouteAttribute::Uid));
        if let Some(protocol) = self.asked_protocol() {
            attributes.push(RouteAttribute::IpProto(protocol));
            if i32::from(protocol) != self.icmp() {
                attributes.extend(self.source_port.map(RouteAttribute::Sport));
                attributes.extend(self.destination_port.map(RouteAttribute::Dport));
            }
        }
        message
    }
}

/// A packet's route, and the rule that led to its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The route.
    pub route: Route,
    /// The rule; none where it cannot be told.
    pub rule: Option<Rule>,
}

/// Where a packet leaves, and from which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The interface; the loopback device, where it is for the host itself.
    pub output: IfIndex,
    /// The source address that the kernel chooses for it, where it has none before it is routed.
    pub source: Option<IpAddr>,
}

/// Asks one namespace's routing.
pub struct RouteOracle {
    netns: NetNs,
    numbering: Numbering,
    requester: Requester,
    /// Of IPv4 and of IPv6, as they were read last.
    rules: [Option<Rules>; 2],
}

impl RouteOracle {
    /// Opens a connection to a namespace's routing.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn open(netns: &NetNs) -> io::Result<Self> {
        Self::open_copy(netns, Numbering::OWN)
    }

    /// The same for a copy of a namespace. Interfaces are asked for, and told, by the original's indexes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_copy(netns: &NetNs, numbering: Numbering) -> io::Result<Self> {
        Ok(Self {
            netns: netns.clone(),
            numbering,
            requester: netns.run(|| Requester::open(NETLINK_ROUTE))??,
            rules: [None, None],
        })
    }

    /// The route that a packet takes now, and the rule that led to its table. `links` are the namespace's interfaces.
    ///
    /// # Errors
    /// As [`Self::look_up`]. Rules that cannot be read leave the rule unknown.
    pub fn choose(&mut self, query: &RouteQuery, links: &Links) -> Result<Choice, RouteError> {
        let route = self.look_up(query)?;
        let rule = self.rule_of(query, &route, links);
        Ok(Choice { route, rule })
    }

    /// That rules or routes have changed: rules are read again when they are needed.
    pub fn rules_changed(&mut self) {
        self.rules = [None, None];
    }

    fn rule_of(&mut self, query: &RouteQuery, route: &Route, links: &Links) -> Option<Rule> {
        let Self {
            netns,
            numbering,
            requester,
            rules,
        } = self;
        let is_ipv6 = query.destination.is_ipv6();
        let rules = &mut rules[usize::from(is_ipv6)];
        if rules.is_none() {
            *rules = Rules::read(netns, is_ipv6).ok();
        }
        let mut group = |interface| group_of(requester, numbering.stand_in(interface));
        rules
            .as_ref()?
            .chosen(&Flow::of(query, links), route, &mut group)
            .cloned()
    }

    /// Where a packet leaves now, and from which address: one question, where [`Self::look_up`] may ask several.
    ///
    /// # Errors
    /// As [`Self::look_up`], but for `OnLink`, which is a way.
    pub fn way(&mut self, query: &RouteQuery) -> Result<Option<Way>, RouteError> {
        let route = self.ask(query, RouteFlags::empty())?;
        let output = match route.kind {
            RouteType::Local => Some(IfIndex::LOOPBACK),
            _ => route.output,
        };
        Ok(output.map(|output| Way {
            output,
            source: query.source.or(route.preferred_source),
        }))
    }

    /// The route that a packet takes now.
    ///
    /// It is answered in some microseconds, within the calling thread.
    ///
    /// # Errors
    /// Where no route leads there, or the kernel refuses the question.
    pub fn look_up(&mut self, query: &RouteQuery) -> Result<Route, RouteError> {
        let matched = RouteFlags::FibMatch | RouteFlags::LookupTable;
        let mut route = match self.ask(query, matched) {
            Err(RouteError::Unreachable(destination)) if query.output.is_some() => {
                // The entry that matches is asked for, and there is none; the packet may go all the same.
                return Err(match self.ask(query, RouteFlags::empty()) {
                    Ok(_) => RouteError::OnLink(destination),
                    Err(error) => error,
                });
            }
            result => result?,
        };
        // While there are no rules of the administrator's, IPv4 keeps the local table's routes in the main table's tree,
        // and tells that one's number (`fib_trie_unmerge`).
        if route.table == RT_TABLE_MAIN && route.is_of_the_host() {
            route.table = RT_TABLE_LOCAL;
        }
        if route.output.is_none() {
            // Several next hops: only an ordinary look-up tells which of them this flow takes.
            let chosen = self.ask(query, RouteFlags::empty())?;
            route.gateway = chosen.gateway;
            route.output = chosen.output;
            route.preferred_source = route.preferred_source.or(chosen.preferred_source);
        }
        Ok(route)
    }

    fn ask(&mut self, query: &RouteQuery, flags: RouteFlags) -> Result<Route, RouteError> {
        let destination = query.destination;
        let numbering = self.numbering;
        let read = |_, payload: &[u8]| RouteMessage::parse(payload);
        match self
            .requester
            .request(libc::RTM_GETROUTE, &query.message(flags, numbering), read)
        {
            Ok(Ok(message)) => Ok(Route::read(&message, numbering)),
            Ok(Err(source)) => Err(RouteError::Unreadable {
                destination,
                source,
            }),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
                    RouteError::Unreachable(destination)
                }
                Some(libc::EACCES) => RouteError::Prohibited(destination),
                _ => RouteError::Refused {
                    destination,
                    source: error,
                },
            }),
        }
    }
}

/// The group of an interface (`ip link set group`).
fn group_of(requester: &mut Requester, interface: IfIndex) -> Option<u32> {
    let mut question = LinkMessage::default();
    question.header.index = interface.0;
    let read = |_, payload: &[u8]| LinkMessage::parse(payload).ok();
    let link = requester
        .request(libc::RTM_GETLINK, &question, read)
        .ok()??;
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Group(group) => Some(*group),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_asked_for_only_with_a_protocol_that_the_kernel_knows() {
        let query = |protocol| RouteQuery {
            protocol,
            source_port: Some(5),
            destination_port: Some(6),
            ..RouteQuery::to([10, 0, 0, 1].into())
        };
        let asked = |protocol| {
            let message = query(protocol).message(RouteFlags::FibMatch, Numbering::OWN);
            message.attributes.into_iter().skip(1).collect::<Vec<_>>()
        };
        let ports = [
            RouteAttribute::IpProto(17),
            RouteAttribute::Sport(5),
            RouteAttribute::Dport(6),
        ];
        assert_eq!(asked(Some(17)), ports);
        assert_eq!(asked(Some(1)), [RouteAttribute::IpProto(1)]);
        assert_eq!(asked(Some(132)), []);
        assert_eq!(asked(None), []);
    }
}
