//! What may happen to sockets, packets, the policy and the host.

use super::super::host::Host;
use crate::{
    key::{Address, IfIndex},
    packet::Packet,
    policy::tests::rules::{Rules, Sender},
};

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A socket sends; `own` headers have its protocol and port.
    Send {
        socket: usize,
        packet: Packet,
        own: bool,
        path: Path,
    },
    /// The last packet once more.
    Again,
    /// The same from another socket.
    Other { socket: usize },
    /// The same but for one of its facts.
    Varied(Variation),
    /// A packet is forwarded that came in by an interface.
    Forward {
        packet: Packet,
        arrived: IfIndex,
        path: Path,
    },
    /// A policy takes effect.
    Policy(Rules),
    /// The host's interfaces or addresses are others.
    Host(Host),
    /// A socket is bound to a device, or to none.
    Device { socket: usize, bound: IfIndex },
    /// A socket is bound to an address.
    Bind { socket: usize, address: Address },
    /// Another process uses a socket.
    Owner { socket: usize, sender: Sender },
    /// A socket is given to another user (`fchown`), of which no hook hears.
    User { socket: usize, user: u32 },
}

/// The interfaces by which a packet leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// The one above that has counted it before.
    pub(super) above: IfIndex,
    pub(super) egress: IfIndex,
}

/// What another packet has differently.
#[derive(Clone, Copy, Debug)]
pub(super) enum Variation {
    Source(Address),
    Destination(Address),
    SourcePort(u16),
    DestinationPort(u16),
    Protocol(u8),
    Above(IfIndex),
    Egress(IfIndex),
}

impl Variation {
    pub(super) fn apply(self, packet: &mut Packet, path: &mut Path) {
        match self {
            Self::Source(address) => packet.source = address,
            Self::Destination(address) => packet.destination = address,
            Self::SourcePort(port) => packet.source_port = port,
            Self::DestinationPort(port) => packet.destination_port = port,
            Self::Protocol(protocol) => packet.protocol = protocol,
            Self::Above(above) => path.above = above,
            Self::Egress(egress) => path.egress = egress,
        }
    }
}
