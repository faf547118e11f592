//! What the kernel counts, and what it reports of a first sighting.

use crate::{
    intent::{Name, Owner},
    key::{Address, IfIndex, NetNsCookie, SocketCookie},
    sample::Samples,
    subject::SubjectKey,
};

/// Who sent a packet.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// No socket: forwarded, a copy, ARP, IGMP.
    #[default]
    None = 0,
    /// A socket that a process owns.
    Process = 1,
    /// A socket of the kernel's own: RST, ICMP, neighbour discovery.
    Kernel = 2,
}

impl Origin {
    /// The origin with this number; unknown numbers are none.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Process,
            2 => Self::Kernel,
            _ => Self::None,
        }
    }
}

/// A cell of the matrix: packets of one bound device, on one interface, with one verdict.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The bound device, of the socket or of the flow that this is a copy of.
    pub bound: IfIndex,
    /// Where the packets left.
    pub egress: IfIndex,
    /// The [`crate::verdict::Kind`]'s number; zero is contained.
    pub kind: u8,
    /// The [`Origin`].
    pub origin: u8,
    /// Not zero: the packets have been counted on an interface above this one, which carries them for it.
    pub carried: u8,
    /// Not zero: the packets were dropped there, and did not leave, or did not come in.
    pub dropped: u8,
    /// Zero.
    pub _pad: [u8; 4],
}

/// Packets and bytes. A packet is what goes on the wire (a GSO `skb` is many); bytes include the link header.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl core::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What makes a finding one thing to fix: a kind, by one subject, with one intent, at one interface. Never a socket, a port or
/// a remote address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// Who it is about.
    pub subject: SubjectKey,
    /// The bound device, of the socket or of the flow that this is a copy of.
    pub bound: IfIndex,
    /// Where the packets left.
    pub egress: IfIndex,
    /// The rule that is broken ([`crate::policy::Demand::id`]); zero where the kind is about none.
    pub rule: u32,
    /// The [`crate::verdict::Kind`]'s number.
    pub kind: u8,
    /// The [`crate::verdict::Severity`]'s number.
    pub severity: u8,
    /// Not zero: the packets were dropped there, and did not leave, or did not come in.
    pub dropped: u8,
    /// Zero.
    pub _pad: u8,
}

impl FindingKey {
    /// What distinguishes it from any other, as bytes: the key of one finding gives the same on every run.
    pub fn to_bytes(&self) -> [u8; 56] {
        let mut bytes = [0; 56];
        bytes[0..8].copy_from_slice(&self.netns.0.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.subject.to_bytes());
        bytes[40..44].copy_from_slice(&self.bound.0.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.egress.0.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.rule.to_le_bytes());
        bytes[52..56].copy_from_slice(&[self.kind, self.severity, self.dropped, 0]);
        bytes
    }
}

/// The first packet of a finding, as the kernel saw it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// When, in nanoseconds of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`).
    pub time: u64,
    /// The socket, or the one whose packet this is a copy of; zero if there is none.
    pub cookie: SocketCookie,
    /// The inode number by which processes hold the socket; zero if none does, or it is not known.
    pub socket_inode: u64,
    /// The source address.
    pub source: Address,
    /// The destination address.
    pub destination: Address,
    /// The source port, in host byte order.
    pub source_port: u16,
    /// The destination port, in host byte order.
    pub destination_port: u16,
    /// The rule that decided, or [`crate::policy::NO_RULE`].
    pub rule: u16,
    /// The other kinds that held too: bit `n` is the kind with number `n`.
    pub also: u16,
    /// The IP protocol.
    pub protocol: u8,
    /// The [`Origin`].
    pub origin: u8,
    /// The socket's family (`AF_INET`, `AF_INET6`, `AF_PACKET`); zero without one.
    pub family: u16,
    /// The policy's generation.
    pub generation: u32,
    /// The packet's mark (`skb->mark`), which rules and routes look at.
    pub mark: u32,
    /// The interface that alone has the source address; zero if none has, or several.
    pub source_owner: IfIndex,
    /// The socket's [`crate::intent::flag`]s.
    pub flags: u32,
    /// The socket's type (`SOCK_STREAM`, …); zero without one.
    pub socket_type: u16,
    /// The type of service, or the traffic class.
    pub tos: u8,
    /// Zero.
    pub _pad: u8,
    /// The device last asked for, as its record has it.
    pub requested_device: Name,
    /// The address of `bind()`.
    pub bound_address: Address,
    /// The device that the socket was bound to before, if that was another; zero if it was none, or never changed.
    pub previous_bound: IfIndex,
    /// Where the packet came in, if it was forwarded or copied (`skb->skb_iif`); zero otherwise.
    pub arrived: IfIndex,
    /// The process.
    pub owner: Owner,
}

/// What is known of a finding: its counter, its first packet, and what it has seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FindingState {
    /// Exact, over all CPUs.
    pub count: Count,
    /// The first packet.
    pub sighting: Sighting,
    /// The first processes, sockets and destinations.
    pub samples: Samples,
}

/// A lock that the kernel knows by the name of its type (`bpf_spin_lock`, since Linux 5.1): in a map's value, at the top.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct bpf_spin_lock {
    /// The kernel's own.
    pub val: u32,
}

/// A finding's entry in the kernel's table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FindingValue {
    /// Held while a place among the samples is taken.
    pub lock: bpf_spin_lock,
    /// Of what arrived: zero until a packet of it was given to its socket, and another number after each that was.
    pub delivered: u32,
    /// What is known of it.
    pub state: FindingState,
}

/// A finding that is not in the table yet. The kernel allows no lock in the programs' own room.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewFinding {
    /// Zero: where [`FindingValue`] has the lock.
    pub _lock: u64,
    /// What is known of it.
    pub state: FindingState,
}

/// A record of the ring buffer: a hint to look, and all that is needed to report the finding at once.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SightingRecord {
    /// The finding.
    pub key: FindingKey,
    /// Its first packet.
    pub sighting: Sighting,
}

const _: () = assert!(size_of::<CellKey>() == 24);
const _: () = assert!(size_of::<FindingKey>() == 56);
const _: () = assert!(size_of::<Sighting>() == 184);
const _: () = assert!(size_of::<FindingState>() == 16 + 184 + size_of::<Samples>());
const _: () = assert!(size_of::<FindingValue>() == 8 + size_of::<FindingState>());
const _: () = assert!(size_of::<FindingValue>() == size_of::<NewFinding>());
const _: () = assert!(size_of::<SightingRecord>() == 56 + size_of::<Sighting>());

#[cfg(feature = "user")]
mod pod {
    use super::{CellKey, Count, FindingKey, FindingValue, Sighting, SightingRecord};
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    unsafe impl aya::Pod for CellKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Count {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FindingKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FindingValue {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Sighting {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SightingRecord {}
}
