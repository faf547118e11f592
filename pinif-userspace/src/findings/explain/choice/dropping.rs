//! Which packets are to be dropped: those of the finding, as far as nft(8) distinguishes them from others.

use std::sync::Arc;

use pinif_ebpf::packet::protocol;

use super::{egress, facts::own_home};
use crate::findings::{
    explain::{CauseKind, Dropped, Port, Remedy, Traffic, phrases::destination_address},
    finding::Finding,
    kinds::Row,
    subject::{KernelPacket, Subject},
};

/// Drop it where it leaves: of what the kernel sends by itself, and cannot be led elsewhere. That, and nothing else that has the address.
pub(super) fn dropped(finding: &Finding, row: &Row) -> Remedy {
    let flow = finding.flow;
    let is_of_address = own_home(finding, row).is_some();
    let what = traffic(finding);
    // It goes to many addresses, and is wrong there whichever that is.
    let is_of_link = what.is_some_and(Traffic::is_of_link);
    Remedy::DropLeaving(Dropped {
        what,
        source: flow
            .map(|flow| flow.source.address)
            .filter(|_| is_of_address),
        to: destination_address(finding).filter(|_| !is_of_address && !is_of_link),
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
            KernelPacket::GroupMembership if flow.protocol == protocol::ICMPV6 => {
                Traffic::ListenerReports
            }
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
