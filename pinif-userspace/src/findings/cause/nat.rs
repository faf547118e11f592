//! What NAT changed of a packet.

use crate::{
    findings::{decode::Sighted, scene::Scene},
    host::conntrack::Tuple,
};

/// What the packet was before NAT, where the kernel's connection tracking says that it changed it.
pub(super) fn before(sighted: &Sighted, scene: &Scene<'_>) -> Option<Tuple> {
    let headers = sighted.headers?;
    (scene.before_nat)(&Tuple {
        protocol: headers.protocol,
        source: headers.source,
        destination: headers.destination,
        source_port: headers.source_port?,
        destination_port: headers.destination_port?,
    })
}
