//! Where a socket would leave after an event, against where it leaves now.

use std::{
    net::{IpAddr, SocketAddr},
    time::SystemTime,
};

use ipnet::IpNet;
use pinif_ebpf::verdict::{Kind, Severity};

use super::{Event, Original};
use crate::{
    audit::finding::{
        Direction, Finding, FindingId, Origin, endpoint_text, protocol_text, time_text,
    },
    host::{network::Network, routes::RouteOracle, sockets::DiagSocket},
    survey::{Leaves, Owned},
};

/// Both sides of an event.
pub(super) struct Judge<'a> {
    pub original: &'a Original,
    pub after: &'a Network,
    pub now: &'a mut RouteOracle,
    pub then: &'a mut RouteOracle,
    pub event: &'a Event,
}

impl Judge<'_> {
    /// The finding of a socket that would leave by another interface than it does; of one that is not connected, for the
    /// first network that routes of the original lead to and that it would reach otherwise.
    pub fn judge(&mut self, owned: &Owned) -> Option<Finding> {
        let socket = &owned.socket;
        if socket.device.is_some() {
            return None;
        }
        if !socket.remote.ip().is_unspecified() {
            return self.compare(owned, socket, None);
        }
        if i32::from(socket.protocol) == libc::IPPROTO_TCP && !socket.raw {
            // It only listens.
            return None;
        }
        let original = self.original;
        original.networks.iter().find_map(|network| {
            let speaks = network.addr().is_ipv4() == socket.local.is_ipv4()
                || socket.local.is_ipv6() && socket.local.ip().is_unspecified();
            let sends = DiagSocket {
                remote: SocketAddr::new(within(network), 0),
                ..socket.clone()
            };
            speaks.then(|| self.compare(owned, &sends, Some(network)))?
        })
    }

    fn compare(
        &mut self,
        owned: &Owned,
        socket: &DiagSocket,
        network: Option<&IpNet>,
    ) -> Option<Finding> {
        let before = Leaves::of(socket, &self.original.network.links, self.now);
        let after = Leaves::of(socket, &self.after.links, self.then);
        let (
            Some(from),
            Leaves::By {
                interface, route, ..
            },
        ) = (before.interface(), &after)
        else {
            return None;
        };
        if from == interface || interface == "lo" || from == "lo" {
            return None;
        }
        let route = route.clone().unwrap_or_default();
        let mut finding = self.finding(owned, from, interface, &route);
        if let Some(network) = network {
            finding.destination = network.to_string();
        }
        finding.explanation = self.explanation(&finding, from);
        Some(finding)
    }

    fn explanation(&self, finding: &Finding, from: &str) -> String {
        let who = match &finding.process {
            Some(process) => format!("{}'s socket", process.comm),
            None => "A socket of no known process".to_owned(),
        };
        let what = format!("{} to {}", finding.protocol, finding.destination);
        format!(
            "{who} sends {what} by {from} now. With {}, it would leave by {}.",
            self.event, finding.egress_interface
        )
    }

    fn finding(&self, owned: &Owned, from: &str, to: &str, route: &str) -> Finding {
        let socket = &owned.socket;
        let links = &self.original.network.links;
        let home = self.original.network.sole_owner(socket.local.ip());
        let home = home
            .and_then(|home| links.get(home))
            .map(|home| &*home.name);
        let kind = match home {
            Some(home) if home != to => Kind::AddressEscape,
            _ => Kind::Unpinned,
        };
        let end = |end: SocketAddr| endpoint_text(end.ip(), (!socket.raw).then_some(end.port()));
        let (protocol, source, destination) = (
            protocol_text(socket.protocol),
            end(socket.local),
            end(socket.remote),
        );
        let process = owned.processes.first().cloned();
        let event = self.event;
        let key = format!(
            "{event} {} {}",
            self.original.netns.cookie.0, socket.cookie.0
        );
        Finding {
            id: FindingId::of(key.as_bytes()).to_string(),
            time: time_text(SystemTime::now()),
            kind,
            severity: Severity::Risk,
            rule: None,
            netns: self.original.netns.name.clone(),
            direction: Direction::Out,
            bound_device: None,
            bound_address: None,
            egress_interface: to.to_owned(),
            explanation: String::new(),
            cause: route.to_owned(),
            remedy: format!(
                "bind the socket to {from} with SO_BINDTODEVICE: a bound socket leaves by no other interface"
            ),
            protocol,
            source,
            destination,
            packets: 0,
            bytes: 0,
            socket_cookie: Some(socket.cookie.0),
            process,
            origin: Origin::Socket,
            dropped: false,
        }
    }
}

/// An address of a network that is hardly the host's own: its second.
fn within(network: &IpNet) -> IpAddr {
    match network {
        IpNet::V4(network) => network.hosts().nth(1).unwrap_or(network.addr()).into(),
        IpNet::V6(network) => network.hosts().nth(2).unwrap_or(network.addr()).into(),
    }
}
