//! Tunnels whose underlay a route chooses: what their outer packets are recognized by.
//!
//! Which interface a tunnel's packets leave by may change with every route, so that a table of lower devices would always be
//! late. What does not change is the header that the tunnel puts before its packets; userspace publishes it.

use crate::{
    key::{IfIndex, NetNsCookie},
    packet::{Packet, protocol},
};

/// What of a header identifies the outer packet of a tunnel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    sign: u16,
    number: u16,
}

impl Signature {
    const ETHERTYPE: u16 = 1;
    const PROTOCOL: u16 = 2;
    const UDP_TO: u16 = 3;
    const UDP_FROM: u16 = 4;

    /// Frames of an ethertype that is no IP (PPPoE).
    pub const fn ethertype(number: u16) -> Self {
        Self {
            sign: Self::ETHERTYPE,
            number,
        }
    }

    /// Packets of an IP protocol (GRE, IPIP, ESP).
    pub const fn protocol(number: u8) -> Self {
        Self {
            sign: Self::PROTOCOL,
            number: number as u16,
        }
    }

    /// Fragments of UDP datagrams after the first, which have no ports: published with every tunnel that uses UDP.
    pub const UDP_FRAGMENT: Self = Self::protocol(protocol::UDP);

    /// UDP datagrams to a port (VXLAN, GENEVE, FOU).
    pub const fn udp_to(port: u16) -> Self {
        Self {
            sign: Self::UDP_TO,
            number: port,
        }
    }

    /// UDP datagrams from a port (WireGuard).
    pub const fn udp_from(port: u16) -> Self {
        Self {
            sign: Self::UDP_FROM,
            number: port,
        }
    }

    /// The two that a packet may have: one that is published of either makes it an outer packet.
    #[inline(always)]
    pub const fn of(packet: &Packet) -> [Self; 2] {
        if packet.protocol != protocol::UDP || packet.later_fragment {
            [Self::protocol(packet.protocol); 2]
        } else {
            [
                Self::udp_to(packet.destination_port),
                Self::udp_from(packet.source_port),
            ]
        }
    }
}

/// The key of the table of tunnels: packets with this header may be the outer ones of what `upper` sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelKey {
    /// The namespace of the tunnel and of its outer packets.
    pub netns: NetNsCookie,
    /// The tunnel, or what it carries; [`IfIndex::NONE`] stands for all of these.
    pub upper: IfIndex,
    /// The header.
    pub signature: Signature,
}

/// What is known of packets with a [`TunnelKey`]'s header, as bits.
pub mod flags {
    /// They are outer packets. Always set.
    pub const OUTER: u32 = 1 << 0;
    /// The inner packets were counted on the tunnel: it is audited (all are, where several have this header).
    pub const COUNTED: u32 = 1 << 1;
    /// The tunnel sends packets of its own as well, with nothing inside: the handshakes and keepalives of WireGuard.
    pub const TALKS: u32 = 1 << 2;
}

/// The local end of a socket: what the headers have that it writes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalEnd {
    /// The socket's protocol.
    pub protocol: u8,
    /// Its local port in host byte order, or the identifier of a ping socket.
    pub port: u16,
}

impl LocalEnd {
    /// Whether a header may be one that the socket wrote: of its protocol, and from its port.
    ///
    /// A later fragment has no port, and may be.
    #[inline(always)]
    pub const fn may_have_written(self, packet: &Packet) -> bool {
        let has_port = !packet.later_fragment
            && matches!(
                packet.protocol,
                protocol::TCP | protocol::UDP | protocol::UDP_LITE
            );
        packet.protocol == self.protocol && (!has_port || packet.source_port == self.port)
    }
}

const _: () = assert!(size_of::<Signature>() == 4);
const _: () = assert!(size_of::<TunnelKey>() == 16);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
unsafe impl aya::Pod for TunnelKey {}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(source_port: u16, destination_port: u16) -> Packet {
        Packet {
            protocol: protocol::UDP,
            source_port,
            destination_port,
            ..Packet::default()
        }
    }

    #[test]
    fn either_port_of_a_datagram_may_be_a_tunnels() {
        let both = [Signature::udp_to(4789), Signature::udp_from(51820)];
        assert_eq!(Signature::of(&udp(51820, 4789)), both);
        let fragment = Packet {
            later_fragment: true,
            ..udp(0, 0)
        };
        assert_eq!(Signature::of(&fragment), [Signature::UDP_FRAGMENT; 2]);
        let gre = Packet {
            protocol: 47,
            ..Packet::default()
        };
        assert_eq!(Signature::of(&gre), [Signature::protocol(47); 2]);
    }

    #[test]
    fn signatures_of_different_kinds_are_different() {
        let all = [
            Signature::ethertype(47),
            Signature::protocol(47),
            Signature::udp_to(47),
            Signature::udp_from(47),
            Signature::default(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other != one));
        }
    }

    #[test]
    fn a_socket_writes_its_own_port_and_protocol() {
        let local = LocalEnd {
            protocol: protocol::UDP,
            port: 4000,
        };
        assert!(local.may_have_written(&udp(4000, 4789)));
        assert!(!local.may_have_written(&udp(49152, 4789)));
        let fragment = Packet {
            later_fragment: true,
            ..udp(0, 0)
        };
        assert!(local.may_have_written(&fragment));
        let gre = Packet {
            protocol: 47,
            ..Packet::default()
        };
        assert!(!local.may_have_written(&gre));
    }
}
