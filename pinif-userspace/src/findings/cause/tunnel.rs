//! Which tunnel an outer packet is of.

use pinif_ebpf::{
    packet::protocol,
    subject::{KernelPacket, Subject},
    tunnel::Signature,
};

use crate::{
    findings::{decode::Sighted, scene::Scene},
    host::links::Link,
};

/// Whether it is the outer packet of a tunnel, which the kernel sent.
pub(super) fn is_tunnels(sighted: &Sighted) -> bool {
    let Subject::Kernel { what, .. } = sighted.subject else {
        return false;
    };
    matches!(what, KernelPacket::Tunnel(_))
}

/// The tunnel whose outer packet it is, by its header. Where several have the same, none is named.
pub(super) fn tunnel_of<'a>(sighted: &Sighted, scene: &Scene<'a>) -> Option<&'a Link> {
    let headers = sighted.headers?;
    let signatures = match (headers.source_port, headers.destination_port) {
        (Some(from), Some(to)) if headers.protocol == protocol::UDP => {
            [Signature::udp_to(to), Signature::udp_from(from)]
        }
        _ => [Signature::protocol(headers.protocol); 2],
    };
    let is_header = |link: &&Link| signatures.iter().any(|one| link.outer.contains(one));
    let mut tunnels = scene.network.links.iter().filter(is_header);
    let (only, other) = (tunnels.next()?, tunnels.next());
    other.is_none().then_some(only)
}
