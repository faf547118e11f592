//! Which packets are to be dropped: those of the finding, as far as nft(8) distinguishes them from others.

use std::sync::Arc;

use pinif_ebpf::packet::protocol;

use super::egress;
use crate::findings::{
    explain::{CauseKind, Dropped, Port, Remedy, Traffic, phrases::destination_address},
    finding::Finding,
    kinds::Row,
    subject::{KernelPacket, Subject},
};

/// Drop it where it leaves: of what the kernel sends by itself, and cannot be led elsewhere. That, and nothing else that has the address.
pub(super) fn dropped(finding: &Finding, row: &Row) -> Remedy {
    let flow = finding.flow;
    let is_of_address = (row.home)(&finding.place).is_some();
    Remedy::DropLeaving(Dropped {
        what: traffic(finding),
        source: flow
            .map(|flow| flow.source.address)
            .filter(|_| is_of_address),
        to: destination_address(finding).filter(|_| !is_of_address),
        ..Dropped::at(egress(finding))
    })
}

/// Drop what is forwarded, of the interface that it came in by.
pub(super) fn forward_dropped(finding: &Finding) -> Remedy {
    let arrived = match finding.subject.as_deref() {
        Some(Subject::Forwarded { interface, .. }) => Some(Arc::clone(interface)),
        _ => None,
    };
    Remedy::DropForwarded(Dropped {
        what: traffic(finding),
        arrived,
        to: destination_address(finding),
        ..Dropped::at(egress(finding))
    })
}

/// What it is, as far as that distinguishes it from what a program sends from the same address.
fn traffic(finding: &Finding) -> Option<Traffic> {
    let flow = finding.flow?;
    Some(match finding.subject.as_deref() {
        Some(Subject::Kernel { what, .. }) => match what {
            KernelPacket::TcpReset => Traffic::TcpReset,
            KernelPacket::Icmp => Traffic::IcmpReply,
            KernelPacket::NeighbourDiscovery => Traffic::NeighbourDiscovery,
            KernelPacket::Tunnel if flow.protocol == protocol::UDP => Traffic::Tunnel {
                port: tunnel_port(finding)?,
            },
            _ => Traffic::Protocol(flow.protocol),
        },
        _ => Traffic::Protocol(flow.protocol),
    })
}

/// The port by which a tunnel's outer packet is known: the one that it goes to, but of WireGuard, whose packets go to any.
fn tunnel_port(finding: &Finding) -> Option<Port> {
    let flow = finding.flow?;
    let is_wireguard = finding.causes.iter().any(|cause| {
        matches!(&cause.kind, CauseKind::Tunnel { kind: Some(kind), .. } if kind == "wireguard")
    });
    match is_wireguard {
        true => flow.source.port().map(Port::Source),
        false => flow.destination.port().map(Port::Destination),
    }
}
