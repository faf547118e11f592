//! Cached verdicts: what was decided for one packet holds for the next that is like it in all that was looked at.
//!
//! An entry is one word: most of a digest of all that led to the decision, and what to do with such packets. One word is
//! read and written at once, whatever other CPUs do, on every architecture. The digest has a secret of each socket in it
//! ([`crate::intent::SocketRecord::salt`]), and 49 bits: of 5·10¹⁴ packets that are not like the one remembered, one
//! would be taken for it.

use crate::{
    key::{Address, IfIndex},
    packet::{Packet, protocol},
};

/// How many bits of an entry are the cell's number.
pub const CELL_BITS: u32 = 14;
const CELL: u64 = (1 << CELL_BITS) - 1;
const MARKED: u64 = 1 << CELL_BITS;
/// The bits of an entry that are the digest's.
const DIGEST: u64 = !(CELL | MARKED);

/// A packet's addresses and ports, as few words as tell it from any other: what an entry is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// The source address, its two words as memory has them.
    pub source: [u64; 2],
    /// The destination address, likewise.
    pub destination: [u64; 2],
    /// Both ports as they follow each other in the packet: the source port first in memory.
    pub ports: u32,
    /// The IP protocol.
    pub protocol: u8,
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

    /// Whether packets of this protocol can be glanced at: their ports come first in the transport header.
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
        self.source == packet.source.words()
            && self.destination == packet.destination.words()
            && self.ports == port(packet.source_port, packet.destination_port)
            && self.protocol == packet.protocol
            && !packet.later_fragment
    }

    /// Whether a socket of this protocol, with this local port in host byte order, wrote the headers.
    #[inline(always)]
    pub const fn is_from(&self, protocol: u8, port: u16) -> bool {
        self.protocol == protocol && self.source_port() == u16::to_be(port) as u32
    }

    /// What is seen, whatever the source port.
    #[inline(always)]
    pub const fn from_any_port(self) -> Self {
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
    const fn source_port(&self) -> u32 {
        if cfg!(target_endian = "little") {
            self.ports & 0xffff
        } else {
            self.ports >> 16
        }
    }
}

/// Where a packet leaves, and what of its socket and of the policy led to the decision.
#[derive(Clone, Copy, Debug)]
pub struct CacheInputs {
    /// What changes with the policy and with the host's links and addresses.
    pub epoch: u64,
    /// What changes with the socket's record, and is no other socket's.
    pub salt: u64,
    /// The interface above that has counted the packet before.
    pub above: IfIndex,
    /// The bound device.
    pub bound: IfIndex,
    /// The egress interface.
    pub egress: IfIndex,
    /// The socket's user, where a rule asks for it; else zero.
    pub user: u32,
    /// The words of the address that `bind()` was called with, where the salt does not stand for it; else zeros.
    pub bound_address: [u64; 2],
}

/// Both digests of a packet and its circumstances; zero where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// [`SourceDigest::any_destination`].
    pub any_destination: u64,
    /// [`SourceDigest::whole`].
    pub whole: u64,
}

/// Each word goes through a bijection of its own, and the sum through one more: packets that differ in one word only
/// never have the same sum. The multiplications do not wait for each other.
#[inline(always)]
const fn mix(word: u64, multiplier: u64) -> u64 {
    let word = word.wrapping_mul(multiplier);
    word ^ (word >> 32)
}

#[inline(always)]
const fn finish(sum: u64) -> u64 {
    // Never all zeros in the digest's bits: an empty entry is no decision.
    mix(sum, 0x9e37_79b9_7f4a_7c15) | (MARKED << 1)
}

/// The digest of all but the destination: for a decision that holds whatever that is.
#[inline(always)]
pub const fn digest_of_source(packet: &FlowKey, of: &CacheInputs) -> SourceDigest {
    let interfaces = (of.bound.0 as u64) << 32 | of.egress.0 as u64;
    let others = (of.above.0 as u64) << 32 | of.user as u64;
    let source_end = (packet.source_port() as u64) << 8 | packet.protocol as u64;
    SourceDigest(
        mix(of.salt, 0xff51_afd7_ed55_8ccd)
            .wrapping_add(mix(of.epoch, 0xc4ce_b9fe_1a85_ec53))
            .wrapping_add(mix(others, 0xbf58_476d_1ce4_e5b9))
            .wrapping_add(mix(interfaces, 0x94d0_49bb_1331_11eb))
            .wrapping_add(mix(packet.source[0], 0xe703_7ed1_a0b4_28db))
            .wrapping_add(mix(packet.source[1], 0x8ebc_6af0_9c88_c6e3))
            .wrapping_add(mix(source_end, 0x5899_65cc_7537_4cc3))
            .wrapping_add(mix(of.bound_address[0], 0xd6e8_feb8_6659_fd93))
            .wrapping_add(mix(of.bound_address[1], 0xa24b_aed4_963e_e407)),
    )
}

/// What [`digest_of_source`] gives, before its last steps.
#[derive(Clone, Copy, Debug)]
pub struct SourceDigest(u64);

impl SourceDigest {
    /// The digest of what was digested.
    #[inline(always)]
    pub const fn any_destination(self) -> u64 {
        finish(self.0)
    }

    /// The digest of that and of the packet's destination.
    #[inline(always)]
    pub const fn whole(self, packet: &FlowKey) -> u64 {
        let sum = self
            .0
            .wrapping_add(1)
            .wrapping_add(mix(packet.destination[0], 0x1d8e_4e27_c47d_124f))
            .wrapping_add(mix(packet.destination[1], 0xeb44_acca_b455_d165))
            .wrapping_add(mix(packet.ports as u64, 0xa076_1d64_78bd_642f));
        finish(sum)
    }
}

/// What to do with a packet whose decision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedVerdict {
    /// The number of the cell to count it in, less than `1 << CELL_BITS`.
    pub cell: u32,
    /// Whether the interface below has to know that it was counted.
    pub marked: bool,
}

/// The entry of a decision.
#[inline(always)]
pub const fn entry(digest: u64, of: CachedVerdict) -> u64 {
    let marked = if of.marked { MARKED } else { 0 };
    digest & DIGEST | marked | of.cell as u64 & CELL
}

/// What the entry says, if it is of this digest.
#[inline(always)]
pub const fn look_up(entry: u64, digest: u64) -> Option<CachedVerdict> {
    if (entry ^ digest) & DIGEST == 0 {
        Some(CachedVerdict {
            cell: (entry & CELL) as u32,
            marked: entry & MARKED != 0,
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
