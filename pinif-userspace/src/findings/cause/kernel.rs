//! Why what the kernel sends by itself left where it left.

use std::net::IpAddr;

use pinif_ebpf::{packet::protocol, subject};

use super::{links::links_down, routing::route, source, tunnel::tunnel_of};
use crate::findings::{
    decode::Sighted,
    explain::{Cause, CauseKind},
    kinds::Row,
    scene::{LookUp, Scene},
    subject::{KernelPacket, of_kernel},
};

/// Whether such packets leave by the interface that they are about, whatever the routing tables say.
pub(super) const fn follows_no_route(what: subject::KernelPacket) -> bool {
    use subject::KernelPacket::{GroupMembership, NeighbourDiscovery, NotIp};
    matches!(what, GroupMembership | NeighbourDiscovery | NotIp)
}

/// What it is, and what chose its interface.
pub(super) fn causes(
    row: &Row,
    sighted: &Sighted,
    scene: &Scene<'_>,
    look_up: &mut LookUp<'_>,
) -> Vec<Cause> {
    let mut causes = what(sighted, scene);
    if let subject::Subject::Kernel { what, .. } = sighted.subject
        && follows_no_route(what)
    {
        return causes;
    }
    let route = route(sighted, scene, look_up);
    causes.extend(links_down(sighted, scene, &route));
    causes.extend(source::of_kernel(row, sighted, scene, look_up));
    causes.extend(route);
    causes
}

/// What the kernel itself sent.
pub(super) fn what(sighted: &Sighted, scene: &Scene<'_>) -> Vec<Cause> {
    let what = kind(sighted);
    let mut causes = vec![Cause::certain(CauseKind::Kernel(what))];
    match what {
        KernelPacket::Tunnel => causes.extend(tunnel(sighted, scene)),
        KernelPacket::GroupMembership => causes.extend(groups(sighted, scene)),
        _ => {}
    }
    causes
}

fn kind(sighted: &Sighted) -> KernelPacket {
    if let subject::Subject::Kernel { what, .. } = sighted.subject {
        return of_kernel(what).0;
    }
    match sighted.headers.map(|headers| headers.protocol) {
        Some(protocol::TCP) => KernelPacket::TcpReset,
        Some(protocol::ICMP | protocol::ICMPV6) => KernelPacket::Icmp,
        Some(_) => KernelPacket::Other,
        None => KernelPacket::NotIp,
    }
}

/// What names that tunnel.
fn tunnel(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let only = tunnel_of(sighted, scene)?;
    Some(Cause::certain(CauseKind::Tunnel {
        device: only.name.clone(),
        kind: only.kind.clone(),
    }))
}

/// The groups that programs have joined on the interface, which the kernel reports there.
fn groups(sighted: &Sighted, scene: &Scene<'_>) -> Option<Cause> {
    let is_ipv4 = sighted
        .headers
        .is_none_or(|headers| headers.source.is_ipv4());
    let interface = (scene.name)(sighted.egress);
    let mut groups: Vec<IpAddr> = (scene.groups)(&interface)
        .into_iter()
        .filter(|group| group.is_ipv4() == is_ipv4)
        .collect();
    groups.sort();
    (!groups.is_empty()).then(|| Cause::certain(CauseKind::Groups { interface, groups }))
}
