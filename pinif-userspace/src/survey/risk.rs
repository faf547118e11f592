//! How a socket stands: what could go wrong with it, the worst first.

use pinif_ebpf::verdict::Severity;

use super::{device::name, leaves::Leaves};
use crate::{
    host::{network::Network, sockets::DiagSocket},
    text::words::listed,
};

/// How a socket stands. The order is that of the risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// It has one interface's address and leaves via another: an `address-escape`, as soon as it sends.
    Misrouted,
    /// Nothing binds it, and the default route is used.
    DefaultRoute,
    /// Nothing binds it; a route of its own leads it, until that is gone, or an option names its interface.
    Unpinned,
    /// It is bound to one interface's address and to another device: a `crossed-bind`.
    Crossed,
    /// It can send nothing: its device is down, gone, without carrier or leads nowhere, no route leads where it is connected to, or the neighbour there does
    /// not answer.
    Stuck,
    /// It is bound to the device that it leaves via.
    Pinned,
    /// Its peer is its own host.
    Internal,
}

impl Risk {
    /// All, the greatest first.
    pub const ALL: [Self; 7] = [
        Self::Misrouted,
        Self::DefaultRoute,
        Self::Unpinned,
        Self::Crossed,
        Self::Stuck,
        Self::Pinned,
        Self::Internal,
    ];

    /// The name in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Misrouted => "misrouted",
            Self::DefaultRoute => "default-route",
            Self::Unpinned => "unpinned",
            Self::Crossed => "crossed",
            Self::Stuck => "stuck",
            Self::Pinned => "pinned",
            Self::Internal => "internal",
        }
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|risk| risk.name() == name)
    }

    /// How grave it is; none of what is well.
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Misrouted | Self::DefaultRoute => Some(Severity::Risk),
            Self::Unpinned | Self::Crossed | Self::Stuck => Some(Severity::Note),
            Self::Pinned | Self::Internal => None,
        }
    }
}

/// How a socket stands, and why.
pub(super) fn of(socket: &DiagSocket, leaves: &Leaves, network: &Network) -> (Risk, String) {
    let local = socket.local.ip();
    // The interface that alone has the address that the socket has.
    let home = (!local.is_unspecified())
        .then(|| network.sole_owner(local))
        .flatten()
        .map(|owner| name(owner, &network.links));
    let device = socket.device.map(|device| name(device, &network.links));
    match leaves {
        Leaves::None { why } => (Risk::Stuck, why.clone()),
        Leaves::Via { interface, .. } if interface == "lo" => {
            let is_connected = !socket.remote.ip().is_unspecified();
            let why = match device {
                _ if is_connected => "its peer is this host".to_owned(),
                Some(device) => format!("it is bound to {device}"),
                None => format!("{local} is lo's"),
            };
            (Risk::Internal, why)
        }
        Leaves::Via {
            interface,
            route,
            by,
            default,
        } => {
            let why = after(by.as_deref().or(route.as_deref()));
            match (device, home) {
                (Some(device), Some(home)) if home != device => (
                    Risk::Crossed,
                    format!("{local} is {home}'s, and it is bound to {device}"),
                ),
                (Some(device), _) => (Risk::Pinned, format!("it is bound to {device}")),
                (None, Some(home)) if home != *interface => {
                    (Risk::Misrouted, format!("{local} is {home}'s{why}"))
                }
                (None, _) if *default => (Risk::DefaultRoute, format!("nothing binds it{why}")),
                (None, _) => (Risk::Unpinned, format!("nothing binds it{why}")),
            }
        }
        Leaves::AnyOf {
            interfaces,
            route,
            default,
        } => {
            let any = listed(interfaces, "or");
            match home.filter(|home| interfaces.iter().any(|interface| interface != home)) {
                Some(home) => (
                    Risk::Misrouted,
                    format!("{local} is {home}'s, and each flow takes one of {any}; {route}"),
                ),
                None => (
                    if *default {
                        Risk::DefaultRoute
                    } else {
                        Risk::Unpinned
                    },
                    format!("nothing binds it, and each flow takes one of {any}; {route}"),
                ),
            }
        }
        Leaves::Any {
            default: Some(default),
        } => (
            Risk::DefaultRoute,
            match home.filter(|home| home != default) {
                Some(home) => format!(
                    "nothing binds it; {local} is {home}'s, and what has no route of its own leaves via {default}"
                ),
                None => {
                    format!("nothing binds it; what has no route of its own leaves via {default}")
                }
            },
        ),
        Leaves::Any { default: None } => (
            Risk::Unpinned,
            "nothing binds it; each destination is routed by itself".to_owned(),
        ),
    }
}

fn after(route: Option<&str>) -> String {
    match route {
        Some(route) => format!("; {route}"),
        None => String::new(),
    }
}
