//! What the fast path sees of a packet's headers.

use crate::{
    key::Address,
    packet::{Packet, protocol},
};

/// A packet's addresses and ports, as few words as distinguish it from any other: what an entry is of.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// The source address, its two words as memory has them.
    pub source: [u64; 2],
    /// The destination address, likewise.
    pub destination: [u64; 2],
    /// Both ports as they follow each other in the packet: the source port first in memory.
    pub ports: u32,
    /// The IP protocol.
    pub protocol: u32,
}

impl FlowKey {
    /// The words of an IPv4 address, in network byte order, as [`Address`] has them.
    #[inline(always)]
    pub const fn v4(address: u32) -> [u64; 2] {
        let mapped = u64::from_ne_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        let low = if cfg!(target_endian = "little") {
            (address as u64) << 32
        } else {
            address as u64
        };
        [0, mapped | low]
    }

    /// Whether packets of this protocol have a flow key: their ports come first in the transport header.
    #[inline(always)]
    pub const fn is_of(protocol: u8) -> bool {
        matches!(protocol, protocol::TCP | protocol::UDP)
    }

    /// Whether the flow saw what a full look at the headers saw. It is taken at the usual place of the headers, which
    /// need not be this packet's.
    #[inline(always)]
    pub fn is(&self, packet: &Packet) -> bool {
        let port = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            u32::from_ne_bytes([a, b, c, d])
        };
        let Packet {
            source,
            destination,
            source_port,
            destination_port,
            protocol,
            later_fragment,
            // Zero: no flow is of ICMP.
            icmp_type: _,
            // No verdict depends on it.
            tos: _,
        } = packet;
        self.source == source.words()
            && self.destination == destination.words()
            && self.ports == port(*source_port, *destination_port)
            && self.protocol == u32::from(*protocol)
            && !later_fragment
    }

    /// Whether a socket of this protocol, with this local port in host byte order, wrote the headers.
    #[inline(always)]
    pub const fn is_from(&self, protocol: u8, port: u16) -> bool {
        self.protocol == protocol as u32 && self.source_port() == u16::to_be(port) as u32
    }

    /// What is seen, whatever the source port.
    #[inline(always)]
    pub(crate) const fn with_any_port(self) -> Self {
        let ports = if cfg!(target_endian = "little") {
            self.ports & !0xffff
        } else {
            self.ports & 0xffff
        };
        Self { ports, ..self }
    }

    /// The source address.
    #[inline(always)]
    pub const fn source_address(&self) -> Address {
        Address::of_words(self.source)
    }

    /// The source port as memory has it, in the low half.
    #[inline(always)]
    pub(super) const fn source_port(&self) -> u32 {
        if cfg!(target_endian = "little") {
            self.ports & 0xffff
        } else {
            self.ports >> 16
        }
    }
}
