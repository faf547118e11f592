//! What the kernel answers: an entry of a routing table, and where it leads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
pub use netlink_packet_route::route::{RouteProtocol, RouteType};
use netlink_packet_route::{
    AddressFamily,
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop,
        RouteNextHopFlags, RouteVia,
    },
};
use pinif_ebpf::key::IfIndex;

use super::{Encapsulation, beside::beside};
use crate::host::{links::Links, numbering::Numbering, tables};

/// The entry of a routing table that a packet follows, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destinations that it is for.
    pub prefix: IpNet,
    /// The type of service of the packets that it is for (`tos` of `ip route`); zero where it is for all. IPv6 has none.
    pub tos: u8,
    /// The sources of the packets that it is for (`from` of `ip -6 route`); none where it is for all. IPv4 has none.
    pub from: Option<IpNet>,
    /// The router that it leads to; none where the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The router is on the link, whatever the link's networks are (`onlink`).
    pub is_onlink: bool,
    /// The interface that it leads out of.
    pub output: Option<IfIndex>,
    /// All ways that it leads, of which the flow takes one (`ip route add … nexthop …`); none, if there is but one.
    pub hops: Vec<Hop>,
    /// The next-hop object that it uses (`ip nexthop`).
    pub next_hop: Option<u32>,
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
    /// What it puts its packets into; none where they leave as they are.
    pub encapsulation: Option<Encapsulation>,
    /// What it has beside all that, as `ip route` takes it; none where that cannot be written.
    pub beside: Option<String>,
}

/// One of several ways that a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The router; none where the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub output: Option<IfIndex>,
    /// The router is on the link, whatever the link's networks are (`onlink`).
    pub is_onlink: bool,
    /// The kernel passes over it: its link is down, or has no carrier, and a setting says so (`fib_nexthop_info`).
    pub is_dead: bool,
}

/// Where a packet leaves, and from which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteResult {
    /// The interface; the loopback device, where it is for the host itself.
    pub output: IfIndex,
    /// The source address that the kernel chooses for it, where it has none before it is routed.
    pub source: Option<IpAddr>,
}

impl Route {
    /// One for all destinations of a family, without anything else.
    pub(super) fn blank(address_family: AddressFamily) -> Self {
        let any = match address_family {
            AddressFamily::Inet6 => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            _ => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        };
        Self {
            prefix: IpNet::new_assert(any, 0),
            tos: 0,
            from: None,
            gateway: None,
            is_onlink: false,
            output: None,
            hops: Vec::new(),
            next_hop: None,
            table: 0,
            preferred_source: None,
            protocol: RouteProtocol::Unspec,
            kind: RouteType::Unspec,
            metric: 0,
            encapsulation: None,
            beside: None,
        }
    }

    /// Reads a message of a namespace whose interfaces are numbered so.
    pub(super) fn read(message: &RouteMessage, numbering: Numbering) -> Self {
        let RouteHeader {
            destination_prefix_length,
            source_prefix_length,
            table,
            protocol,
            kind,
            address_family,
            tos,
            ..
        } = message.header;
        let mut route = Self {
            tos,
            table: u32::from(table),
            protocol,
            kind,
            is_onlink: message.header.flags.contains(RouteFlags::Onlink),
            encapsulation: Encapsulation::read(&message.attributes),
            beside: beside(message),
            ..Self::blank(address_family)
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => {
                    let length = destination_prefix_length.min(route.prefix.max_prefix_len());
                    route.prefix = ip(address)
                        .map_or(route.prefix, |address| IpNet::new_assert(address, length));
                }
                RouteAttribute::Source(address) => {
                    let from = ip(address).filter(IpAddr::is_ipv6);
                    route.from =
                        from.and_then(|address| IpNet::new(address, source_prefix_length).ok());
                }
                RouteAttribute::Oif(index) => {
                    route.output = numbering.stands_for(IfIndex(*index));
                }
                RouteAttribute::PrefSource(address) => route.preferred_source = ip(address),
                RouteAttribute::Table(table) => route.table = *table,
                RouteAttribute::Priority(metric) => route.metric = *metric,
                RouteAttribute::NhId(id) => route.next_hop = Some(*id),
                RouteAttribute::MultiPath(hops) => {
                    let read = |hop| Hop::read(hop, numbering);
                    route.hops = hops.iter().map(read).collect();
                }
                other => route.gateway = gateway(other).or(route.gateway),
            }
        }
        route
    }

    /// Makes of the answer's kind, which is the packet's, the kind of the table's entry, and its table's number right.
    ///
    /// A packet to a group or to all is answered as such, whatever entry it followed (`ip_route_output_key_hash_rcu`). And while there
    /// are no rules of the administrator's, IPv4 keeps the local table's entries in the main table's tree, and answers with that
    /// one's number (`fib_trie_unmerge`).
    pub(super) fn take_kind_of_entry(&mut self) {
        let is_whole = self.prefix.prefix_len() == self.prefix.max_prefix_len();
        match self.kind {
            RouteType::Broadcast if !is_whole => self.kind = RouteType::Unicast,
            RouteType::Multicast if !self.prefix.addr().is_multicast() => {
                self.kind = RouteType::Unicast;
            }
            _ => {}
        }
        let is_of_the_host = matches!(self.kind, RouteType::Local | RouteType::Broadcast);
        if self.table == tables::RT_TABLE_MAIN && is_of_the_host {
            self.table = tables::RT_TABLE_LOCAL;
        }
    }

    /// What tables distinguish routes by (`fib_find_alias`, `fib6_add_rt2node`): of several that have all this, those that were appended
    /// (`NLM_F_APPEND`), the first is taken.
    pub fn key(&self) -> (u32, IpNet, u8, u32) {
        (self.table, self.prefix, self.tos, self.metric)
    }

    /// The way by an interface, if it leads there; of several, the one that the flow takes, or the first.
    pub fn way_by(&self, interface: IfIndex) -> Option<Hop> {
        self.ways_by(interface).next()
    }

    /// The ways by an interface, the one that the flow takes first.
    pub fn ways_by(&self, interface: IfIndex) -> impl Iterator<Item = Hop> {
        let chosen = Hop {
            gateway: self.gateway,
            output: self.output,
            is_onlink: self.is_onlink,
            is_dead: false,
        };
        let ways = std::iter::once(chosen).chain(self.hops.iter().copied());
        ways.filter(move |way| way.output == Some(interface))
    }
}

impl Hop {
    pub(super) fn read(hop: &RouteNextHop, numbering: Numbering) -> Self {
        Self {
            gateway: hop.attributes.iter().find_map(gateway),
            output: numbering
                .stands_for(IfIndex(hop.interface_index))
                .filter(|index| index.is_some()),
            is_onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
            is_dead: hop.flags.contains(RouteNextHopFlags::Dead),
        }
    }
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
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

/// The name of a route's type in iproute2 (ip-route(8)).
pub fn kind_name(kind: RouteType) -> &'static str {
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
