//! Where a socket's packets would leave, as the kernel's own route look-up answers.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use pinif_ebpf::key::IfIndex;

use super::device::name;
use crate::{
    findings::explain::Route as Described,
    host::{
        links::Links,
        network::Network,
        routes::{RouteError, RouteOracle, RouteQuery, RouteType},
        sockets::DiagSocket,
    },
    text::words::listed,
};

/// Destinations that no route of its own leads to, since nothing is there: class E (RFC 1112), and what is reserved beyond
/// global unicast (RFC 4291, 2.4). What leads there is the default route.
pub const NOWHERE_4: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 1);
/// The same of IPv6.
pub const NOWHERE_6: Ipv6Addr = Ipv6Addr::new(0x4000, 0, 0, 0, 0, 0, 0, 1);

/// Where a socket's packets would leave now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Via one interface.
    Via {
        /// Its name.
        interface: String,
        /// The route that leads there, as a person reads it; none of a socket that is bound to the device and not connected, or whose
        /// source address chooses the interface.
        route: Option<String>,
        /// What names the interface, besides routes, in a sentence's part.
        by: Option<String>,
        /// Whether that is a default route.
        default: bool,
    },
    /// Via any of several: each flow takes one of a route's next hops, and which one, only the flow shows.
    AnyOf {
        /// Their names.
        interfaces: Vec<String>,
        /// The route.
        route: String,
        /// Whether that is a default route.
        default: bool,
    },
    /// Via any, as each destination is routed.
    Any {
        /// The interface of the default route, by which what has no route of its own leaves; or several.
        default: Option<String>,
    },
    /// Via none.
    None {
        /// Why.
        why: String,
    },
}

impl Leaves {
    /// Asks for a socket.
    pub fn of(socket: &DiagSocket, network: &Network, oracle: &mut RouteOracle) -> Self {
        let links = &network.links;
        let remote = socket.remote.ip();
        let named = socket.named_toward(if remote.is_unspecified() {
            // Of the family that it was made for: an `AF_INET6` socket may speak IPv4, too.
            match i32::from(socket.family) {
                libc::AF_INET => NOWHERE_4.into(),
                _ => NOWHERE_6.into(),
            }
        } else {
            remote
        });
        let by = named.map(|(index, option)| format!("{option} names {}", name(index, links)));
        let device = socket.device.or(named.map(|(index, _)| index));
        if let Some(index) = device
            && let Some(why) = cannot(links, index, named.map(|(_, option)| option))
        {
            return Self::None { why };
        }
        if !remote.is_unspecified() {
            let mut leaves = Self::to(socket, remote, links, oracle);
            if let Self::Via { by: found, .. } = &mut leaves
                && by.is_some()
            {
                *found = by;
            }
            return leaves;
        }
        match device {
            Some(device) => Self::Via {
                interface: name(device, links),
                route: None,
                by,
                default: false,
            },
            None if network.is_of_loopback(socket.local.ip()) => Self::loopback(None),
            None => Self::Any {
                default: Self::default(socket, links, oracle),
            },
        }
    }

    fn loopback(route: Option<String>) -> Self {
        Self::Via {
            interface: "lo".to_owned(),
            route,
            by: None,
            default: false,
        }
    }

    fn default(socket: &DiagSocket, links: &Links, oracle: &mut RouteOracle) -> Option<String> {
        let local = socket.local.ip();
        let leaves = if local.is_ipv4() {
            Self::to(socket, NOWHERE_4.into(), links, oracle)
        } else {
            // One that is bound to `::` may send IPv4 as well.
            match Self::to(socket, NOWHERE_6.into(), links, oracle) {
                Self::None { .. } if local.is_unspecified() => {
                    Self::to(socket, NOWHERE_4.into(), links, oracle)
                }
                leaves => leaves,
            }
        };
        match leaves {
            Self::Via { interface, .. } => Some(interface),
            Self::AnyOf { interfaces, .. } => Some(listed(&interfaces, "or")),
            Self::Any { .. } | Self::None { .. } => None,
        }
    }

    fn to(
        socket: &DiagSocket,
        destination: IpAddr,
        links: &Links,
        oracle: &mut RouteOracle,
    ) -> Self {
        let query = Self::query(socket, SocketAddr::new(destination, socket.remote.port()));
        let choice = match oracle.choose(&query, links) {
            Ok(choice) => choice,
            Err(error) => return Self::without_entry(&query, &error, links, oracle),
        };
        let described = Described::chosen(&choice, links).to_string();
        let route = choice.route;
        let default = route.prefix.prefix_len() == 0;
        let outputs: BTreeSet<IfIndex> = route.hops.iter().filter_map(|hop| hop.output).collect();
        // Of an IPv4 flow, the kernel answers with the hop that it takes (`fib_select_multipath`). Of an IPv6 flow, it hashes a flow
        // label that the socket has and the question has not; and a socket that is not connected has as many flows as destinations.
        let is_open = destination.is_ipv6() || socket.remote.ip().is_unspecified();
        if outputs.len() > 1 && is_open && query.output.is_none() {
            return Self::AnyOf {
                interfaces: outputs
                    .into_iter()
                    .map(|index| name(index, links))
                    .collect(),
                route: described,
                default,
            };
        }
        match route.output {
            _ if route.kind == RouteType::Local => Self::loopback(Some(described)),
            Some(output) => Self::Via {
                interface: name(output, links),
                route: Some(described),
                by: None,
                default,
            },
            None => Self::None { why: described },
        }
    }

    /// Where no entry of a table matches, the packet may go all the same: to a neighbour on the device's link, or, where it goes to a
    /// group or to all, via the interface that has its source address (`ip_route_output_key_hash_rcu`).
    fn without_entry(
        query: &RouteQuery,
        error: &RouteError,
        links: &Links,
        oracle: &mut RouteOracle,
    ) -> Self {
        let Ok(Some(way)) = oracle.way(query) else {
            return Self::None {
                why: error.to_string(),
            };
        };
        let by = query.source.filter(|_| query.output.is_none());
        let by = by.map(|source| {
            let interface = name(way.output, links);
            format!("its source address {source} chooses {interface}, whatever the routes say")
        });
        Self::Via {
            interface: name(way.output, links),
            route: None,
            by,
            default: false,
        }
    }

    /// What routing is asked for a socket that sends there.
    pub fn query(socket: &DiagSocket, to: SocketAddr) -> RouteQuery {
        let local = socket.local.ip();
        RouteQuery {
            source: Some(local)
                .filter(|local| !local.is_unspecified() && local.is_ipv4() == to.is_ipv4()),
            output: (socket.device).or(socket.named_toward(to.ip()).map(|(index, _)| index)),
            mark: socket.mark,
            uid: Some(socket.uid),
            protocol: Some(socket.protocol),
            source_port: Some(socket.local.port()).filter(|port| *port != 0),
            destination_port: Some(to.port()).filter(|port| *port != 0),
            ..RouteQuery::to(to.ip())
        }
    }

    /// The interface, if it is one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Via { interface, .. } => Some(interface),
            Self::AnyOf { .. } | Self::Any { .. } | Self::None { .. } => None,
        }
    }

    /// Every interface that it may be, where that is known.
    pub fn interfaces(&self) -> &[String] {
        match self {
            Self::Via { interface, .. } => std::slice::from_ref(interface),
            Self::AnyOf { interfaces, .. } => interfaces,
            Self::Any { .. } | Self::None { .. } => &[],
        }
    }
}

/// Why nothing can leave by a device that a socket is bound to, or that an option of it names.
fn cannot(links: &Links, index: IfIndex, option: Option<&str>) -> Option<String> {
    match links.get(index) {
        None => Some(match option {
            Some(option) => format!("the device that {option} names is gone"),
            None => "the device that it is bound to is gone".to_owned(),
        }),
        Some(link) if !link.up => Some(match option {
            Some(option) => format!("{}, which {option} names, is down", link.name),
            None => format!("{}, which it is bound to, is down", link.name),
        }),
        Some(_) => None,
    }
}
