//! Where a socket's packets would leave, as the kernel's own route look-up answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::device::name;
use crate::findings::explain::Route as Described;
use crate::host::{
    links::Links,
    routes::{RouteError, RouteOracle, RouteQuery, RouteType},
    sockets::DiagSocket,
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
        /// The route that leads there, as a person reads it; none of a socket that is bound to the device and not connected.
        route: Option<String>,
        /// Whether that is a default route.
        default: bool,
    },
    /// Via any, as each destination is routed.
    Any {
        /// The interface of the default route, by which what has no route of its own leaves.
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
    pub fn of(socket: &DiagSocket, links: &Links, oracle: &mut RouteOracle) -> Self {
        let device = socket.device.map(|device| name(device, links));
        if let Some(index) = socket.device
            && let Some(why) = cannot(links, index, device.as_deref().unwrap_or_default())
        {
            return Self::None { why };
        }
        if !socket.remote.ip().is_unspecified() {
            return Self::to(socket, socket.remote.ip(), links, oracle);
        }
        match device {
            Some(interface) => Self::Via {
                interface,
                route: None,
                default: false,
            },
            None if socket.local.ip().is_loopback() => Self::Via {
                interface: "lo".to_owned(),
                route: None,
                default: false,
            },
            None => Self::Any {
                default: Self::default(socket, links, oracle),
            },
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
        let choice = oracle.choose(&query, links);
        let described = choice.as_ref().map_or_else(
            |_| String::new(),
            |choice| Described::chosen(choice, links).to_string(),
        );
        match choice.map(|choice| choice.route) {
            Ok(route) if route.kind == RouteType::Local => Self::Via {
                interface: "lo".to_owned(),
                route: Some(described),
                default: false,
            },
            Ok(route) => match route.output {
                Some(output) => Self::Via {
                    interface: name(output, links),
                    route: Some(described),
                    default: route.prefix.prefix_len() == 0,
                },
                None => Self::None { why: described },
            },
            Err(error @ RouteError::OnLink(_)) => match socket.device {
                Some(device) => Self::Via {
                    interface: name(device, links),
                    route: None,
                    default: false,
                },
                None => Self::None {
                    why: error.to_string(),
                },
            },
            Err(error) => Self::None {
                why: error.to_string(),
            },
        }
    }

    /// What routing is asked for a socket that sends there.
    pub fn query(socket: &DiagSocket, to: SocketAddr) -> RouteQuery {
        let local = socket.local.ip();
        RouteQuery {
            source: Some(local)
                .filter(|local| !local.is_unspecified() && local.is_ipv4() == to.is_ipv4()),
            output: socket.device,
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
            Self::Any { .. } | Self::None { .. } => None,
        }
    }
}

/// Why nothing can leave by a device.
fn cannot(links: &Links, index: pinif_ebpf::key::IfIndex, name: &str) -> Option<String> {
    match links.get(index) {
        None => Some("the device that it is bound to is gone".to_owned()),
        Some(link) if !link.up => Some(format!("{name}, which it is bound to, is down")),
        Some(_) => None,
    }
}
