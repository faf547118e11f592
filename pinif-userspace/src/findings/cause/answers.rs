//! Whether a packet answers what came in.

use pinif_ebpf::{
    packet::protocol,
    sighting::Origin,
    subject::{KernelPacket, Subject},
    verdict::Kind,
};

use super::nat::tracked;
use crate::findings::{decode::Sighted, scene::Scene};

/// Whether it answers what came in, as far as that is known. Such a packet meets no rule of NAT: only the first of a connection does, and the
/// others are changed as that was (`nf_nat_inet_fn`).
pub(super) fn is_reply(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    let of = |kind: Kind| sighted.kind == kind || sighted.also.contains(&kind);
    let is_kernels = matches!(
        sighted.subject,
        Subject::Kernel {
            what: KernelPacket::TcpReset | KernelPacket::Icmp,
            ..
        }
    );
    let is_kernels = is_kernels && sighted.origin != Origin::Process;
    of(Kind::ReplyEscape)
        || is_kernels
        || is_of_server(sighted, scene)
        || tracked(sighted, scene).is_some_and(|tracked| tracked.is_reply)
}

/// Whether a process's packet of TCP is of a connection that it did not make: the SYN-ACK of its listener, or of a socket that it accepted.
pub(super) fn is_of_server(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    let Some(headers) = sighted.headers else {
        return false;
    };
    let is_tcp = sighted.origin == Origin::Process && headers.protocol == protocol::TCP;
    is_tcp && headers.source_port.is_some_and(scene.serves)
}

/// Whether the kernel answers with it, from the address that was asked. Errors of a router have one that routing chose: where the
/// interface has none of its own, it may be such.
pub(super) fn is_answer(sighted: &Sighted, scene: &Scene<'_>) -> bool {
    let (Subject::Kernel { what, .. }, Some(headers)) = (sighted.subject, sighted.headers) else {
        return false;
    };
    let mut own = scene.network.addresses.of(sighted.egress);
    match what {
        KernelPacket::TcpReset => true,
        KernelPacket::Icmp => own.any(|own| own.address == headers.source),
        _ => false,
    }
}
