//! Which route a packet takes, as the kernel's own look-up tells.

use std::{
    fmt::Write,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use netlink_packet_core::{DecodeError, Parseable};
pub use netlink_packet_route::route::{RouteProtocol, RouteType};
use netlink_packet_route::{
    AddressFamily,
    route::{RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteVia},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::{
    links::Links,
    netlink::Requester,
    netns::NetNs,
    tables::{self, RT_TABLE_LOCAL, RT_TABLE_MAIN},
};

/// A packet, as far as routing looks at it (`struct flowi`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteQuery {
    /// Where it goes.
    pub destination: IpAddr,
    /// Its source address, where it has one before it is routed. IPv4 wants one of the host's own.
    pub source: Option<IpAddr>,
    /// The interface that it is bound to, or that it names.
    pub output: Option<IfIndex>,
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
}

impl RouteQuery {
    /// A packet of which only the destination is known.
    pub fn to(destination: IpAddr) -> Self {
        Self {
            destination,
            source: None,
            output: None,
            mark: 0,
            uid: None,
            protocol: None,
            source_port: None,
            destination_port: None,
        }
    }

    fn message(&self, flags: RouteFlags) -> RouteMessage {
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
        let attributes = &mut message.attributes;
        attributes.push(RouteAttribute::Destination(self.destination.into()));
        if let Some(source) = self.source.filter(|source| !source.is_unspecified()) {
            message.header.source_prefix_length = bits(source);
            attributes.push(RouteAttribute::Source(source.into()));
        }
        attributes.extend(
            self.output
                .filter(|index| index.is_some())
                .map(|index| RouteAttribute::Oif(index.0)),
        );
        if self.mark != 0 {
            attributes.push(RouteAttribute::Mark(self.mark));
        }
        attributes.extend(self.uid.map(RouteAttribute::Uid));
        // rtm_getroute_parse_ip_proto knows no more than these, and refuses the others.
        let icmp = if self.destination.is_ipv4() {
            libc::IPPROTO_ICMP
        } else {
            libc::IPPROTO_ICMPV6
        };
        let known = [libc::IPPROTO_TCP, libc::IPPROTO_UDP, icmp];
        if let Some(protocol) = self
            .protocol
            .filter(|protocol| known.contains(&i32::from(*protocol)))
        {
            attributes.push(RouteAttribute::IpProto(protocol));
            if i32::from(protocol) != icmp {
                attributes.extend(self.source_port.map(RouteAttribute::Sport));
                attributes.extend(self.destination_port.map(RouteAttribute::Dport));
            }
        }
        message
    }
}

/// The entry of a routing table that a packet follows, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destinations that it is for.
    pub prefix: IpNet,
    /// The router that it leads to; none where the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface that it leads out of.
    pub output: Option<IfIndex>,
    /// The table that it stands in.
    pub table: u32,
    /// The source address that it gives to packets that have none.
    pub preferred_source: Option<IpAddr>,
    /// Who made it.
    pub protocol: RouteProtocol,
    /// What it does with a packet.
    pub kind: RouteType,
    /// Its metric; less is preferred. Zero where it has none.
    pub metric: u32,
}

/// Why a look-up has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No route leads there, or one that says that nothing does (`ENETUNREACH`, `EHOSTUNREACH`).
    #[error("no route leads to {0}")]
    Unreachable(IpAddr),
    /// No route leads there through the interface that was asked for: IPv4 then takes every destination for a
    /// neighbour on its link (`ip_route_output_key_hash_rcu`).
    #[error("no route leads to {0} through this interface, so it is taken for a neighbour there")]
    OnLink(IpAddr),
    /// A route or a rule prohibits it (`EACCES`).
    #[error("a route prohibits {0}")]
    Prohibited(IpAddr),
    /// The kernel refuses the question: a blackhole, or a source address or an interface that the host does not have.
    #[error("the kernel tells no route to {destination}: {source}")]
    Refused {
        /// Where it was to go.
        destination: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("the kernel's route to {destination} could not be read: {source}")]
    Unreadable {
        /// Where it was to go.
        destination: IpAddr,
        /// What was wrong with it.
        source: DecodeError,
    },
}

/// Asks one namespace's routing.
pub struct RouteOracle(Requester);

impl RouteOracle {
    /// Opens a connection to a namespace's routing.
    ///
    /// # Errors
    /// Where the namespace may not be entered, or the kernel refuses netlink.
    pub fn open(netns: &NetNs) -> io::Result<Self> {
        netns.run(|| Requester::open(NETLINK_ROUTE))?.map(Self)
    }

    /// The route that a packet takes now.
    ///
    /// It is answered in some microseconds, within the calling thread.
    ///
    /// # Errors
    /// Where no route leads there, or the kernel refuses the question.
    pub fn look_up(&mut self, query: &RouteQuery) -> Result<Route, RouteError> {
        let matched = RouteFlags::FibMatch | RouteFlags::LookupTable;
        let message = match self.ask(query, matched) {
            Err(RouteError::Unreachable(destination)) if query.output.is_some() => {
                // The entry that matches is asked for, and there is none; the packet may go all the same.
                return Err(match self.ask(query, RouteFlags::empty()) {
                    Ok(_) => RouteError::OnLink(destination),
                    Err(error) => error,
                });
            }
            result => result?,
        };
        let mut route = Route::read(&message);
        // While there are no rules of the administrator's, IPv4 keeps the local table's routes in the main table's tree,
        // and tells that one's number (`fib_trie_unmerge`).
        if route.table == RT_TABLE_MAIN
            && matches!(route.kind, RouteType::Local | RouteType::Broadcast)
        {
            route.table = RT_TABLE_LOCAL;
        }
        if route.output.is_none() {
            // Several next hops: only an ordinary look-up tells which of them this flow takes.
            let chosen = Route::read(&self.ask(query, RouteFlags::empty())?);
            route.gateway = chosen.gateway;
            route.output = chosen.output;
            route.preferred_source = route.preferred_source.or(chosen.preferred_source);
        }
        Ok(route)
    }

    fn ask(&mut self, query: &RouteQuery, flags: RouteFlags) -> Result<RouteMessage, RouteError> {
        let destination = query.destination;
        let read = |_, payload: &[u8]| RouteMessage::parse(payload);
        match self
            .0
            .request(libc::RTM_GETROUTE, &query.message(flags), read)
        {
            Ok(result) => result.map_err(|source| RouteError::Unreadable {
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

impl Route {
    fn read(message: &RouteMessage) -> Self {
        let RouteHeader {
            destination_prefix_length,
            table,
            protocol,
            kind,
            address_family,
            ..
        } = message.header;
        let (any, most) = match address_family {
            AddressFamily::Inet6 => (IpAddr::from(Ipv6Addr::UNSPECIFIED), 128),
            _ => (IpAddr::from(Ipv4Addr::UNSPECIFIED), 32),
        };
        let mut route = Self {
            prefix: IpNet::new_assert(any, 0),
            gateway: None,
            output: None,
            table: u32::from(table),
            preferred_source: None,
            protocol,
            kind,
            metric: 0,
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => {
                    let length = destination_prefix_length.min(most);
                    route.prefix = ip(address)
                        .map_or(route.prefix, |address| IpNet::new_assert(address, length));
                }
                RouteAttribute::Gateway(address) => route.gateway = ip(address),
                RouteAttribute::Via(RouteVia::Inet(address)) => {
                    route.gateway = Some((*address).into())
                }
                RouteAttribute::Via(RouteVia::Inet6(address)) => {
                    route.gateway = Some((*address).into())
                }
                RouteAttribute::Oif(index) => route.output = Some(IfIndex(*index)),
                RouteAttribute::PrefSource(address) => route.preferred_source = ip(address),
                RouteAttribute::Table(table) => route.table = *table,
                RouteAttribute::Priority(metric) => route.metric = *metric,
                _ => {}
            }
        }
        route
    }

    /// The route as a person reads it: `route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main`.
    pub fn describe(&self, links: &Links) -> String {
        let mut text = match self.kind {
            RouteType::Unicast => String::new(),
            kind => format!("{} ", kind_name(kind)),
        };
        // Writing to a string never fails.
        let _ = write!(text, "route {}", self.prefix);
        if let Some(gateway) = self.gateway {
            let _ = write!(text, " via {gateway}");
        }
        if let Some(index) = self.output {
            let _ = match links.get(index) {
                Some(link) => write!(text, " dev {}", link.name),
                None => write!(text, " dev if{}", index.0),
            };
        }
        let _ = write!(text, " in table {}", table_name(self.table, links));
        text
    }
}

/// A table as a person knows it: its name or number, and the VRF whose it is.
pub fn table_name(table: u32, links: &Links) -> String {
    let name = tables::name(table);
    match links.vrf(table) {
        Some(vrf) => format!("{name} (vrf {})", vrf.name),
        None => name,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// The name of a route's type in iproute2 (ip-route(8)).
fn kind_name(kind: RouteType) -> &'static str {
    match kind {
        RouteType::Unicast => "unicast",
        RouteType::Local => "local",
        RouteType::Broadcast => "broadcast",
        RouteType::Anycast => "anycast",
        RouteType::Multicast => "multicast",
        RouteType::BlackHole => "blackhole",
        RouteType::Unreachable => "unreachable",
        RouteType::Prohibit => "prohibit",
        RouteType::Throw => "throw",
        RouteType::Nat => "nat",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::links::Link;

    fn default_route() -> Route {
        Route {
            prefix: "0.0.0.0/0".parse().expect("a prefix"),
            gateway: Some([192, 0, 2, 2].into()),
            output: Some(IfIndex(3)),
            table: 254,
            preferred_source: None,
            protocol: RouteProtocol::Static,
            kind: RouteType::Unicast,
            metric: 100,
        }
    }

    #[test]
    fn a_route_is_told_as_a_person_writes_it() {
        let vrf = Link {
            vrf_table: Some(10),
            ..Link::new(IfIndex(9), "blue")
        };
        let links = Links::from_iter([Link::new(IfIndex(3), "eth1"), vrf]);
        let route = default_route();
        assert_eq!(
            route.describe(&links),
            "route 0.0.0.0/0 via 192.0.2.2 dev eth1 in table main"
        );
        let unknown = Route {
            output: Some(IfIndex(7)),
            table: 4711,
            ..default_route()
        };
        assert_eq!(
            unknown.describe(&links),
            "route 0.0.0.0/0 via 192.0.2.2 dev if7 in table 4711"
        );
        let local = Route {
            prefix: "2001:db8::1/128".parse().expect("a prefix"),
            gateway: None,
            kind: RouteType::Local,
            table: 255,
            ..default_route()
        };
        assert_eq!(
            local.describe(&links),
            "local route 2001:db8::1/128 dev eth1 in table local"
        );
        let blackhole = Route {
            gateway: None,
            output: None,
            kind: RouteType::BlackHole,
            table: 10,
            ..default_route()
        };
        assert_eq!(
            blackhole.describe(&links),
            "blackhole route 0.0.0.0/0 in table 10 (vrf blue)"
        );
    }

    #[test]
    fn ports_are_asked_for_only_with_a_protocol_that_the_kernel_knows() {
        let query = |protocol| RouteQuery {
            protocol,
            source_port: Some(5),
            destination_port: Some(6),
            ..RouteQuery::to([10, 0, 0, 1].into())
        };
        let asked = |protocol| {
            let message = query(protocol).message(RouteFlags::FibMatch);
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
