//! Sockets that are bound to a device, and can send nothing there all the same.

use std::net::IpAddr;

use super::leaves::Leaves;
use crate::host::{
    links::Link,
    neighbours::SilentNeighbours,
    network::Network,
    routes::{RouteError, RouteOracle},
    sockets::DiagSocket,
};

/// Why nothing leaves the host by the device that a socket is bound to, whatever it sends; none where something may.
pub(super) fn at_its_device(socket: &DiagSocket, network: &Network) -> Option<String> {
    let links = &network.links;
    let link = links.get(socket.device?)?;
    let name = &link.name;
    // What is bound to a VRF leaves by the interfaces in it, and by the loopback device speaks with its own host.
    if link.loopback || link.kind.as_deref() == Some("vrf") {
        return None;
    }
    if !links.leads_nowhere(link) {
        let has_none = link.up && !link.running;
        return has_none.then(|| format!("{name}, which it is bound to, has no carrier"));
    }
    Some(match kind_of(link) {
        kind @ ("bridge" | "bond" | "team") => {
            format!("{name}, which it is bound to, leads nowhere: it is a {kind} without ports")
        }
        kind => format!("{name}, which it is bound to, leads nowhere: it is of kind {kind}"),
    })
}

fn kind_of(link: &Link) -> &str {
    link.kind.as_deref().unwrap_or("unknown")
}

/// Which neighbour does not answer that leads to where a connected socket sends by its device; none where that answers, or was not asked.
pub(super) fn at_its_neighbour(
    socket: &DiagSocket,
    network: &Network,
    neighbours: &SilentNeighbours,
    oracle: &mut RouteOracle,
) -> Option<String> {
    let device = socket.device?;
    let to = socket.remote.ip();
    if to.is_unspecified() || to.is_multicast() {
        return None;
    }
    let (output, hop): (_, IpAddr) = match oracle.look_up(&Leaves::query(socket, socket.remote)) {
        Ok(route) => (route.output.unwrap_or(device), route.gateway.unwrap_or(to)),
        Err(RouteError::OnLink(_)) => (device, to),
        Err(_) => return None,
    };
    let state = neighbours.of(output, hop)?.name();
    let name = super::device::name(output, &network.links);
    Some(format!("{hop} does not answer on {name} ({state})"))
}
