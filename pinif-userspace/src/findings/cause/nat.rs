//! What the kernel's connection tracking says of a packet, and NAT changed of it.

use crate::{
    findings::{decode::Sighted, scene::Scene},
    host::conntrack::{Tracked, Tuple},
};

/// What connection tracking says of it; nothing of what has no ports.
pub(super) fn tracked(sighted: &Sighted, scene: &Scene<'_>) -> Option<Tracked> {
    let headers = sighted.headers?;
    (scene.tracked)(&Tuple {
        protocol: headers.protocol,
        source: headers.source,
        destination: headers.destination,
        source_port: headers.source_port?,
        destination_port: headers.destination_port?,
    })
}

/// What the packet was before NAT, where the kernel's connection tracking says that it changed it.
pub(super) fn before(sighted: &Sighted, scene: &Scene<'_>) -> Option<Tuple> {
    tracked(sighted, scene)?.before
}
