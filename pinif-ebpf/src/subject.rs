//! Who a finding is about: what distinguishes one thing to fix from another, beside kind, rule and interfaces.
//!
//! Never a socket, a port or a remote address: a program that opens a thousand sockets has one fault, and a remote host's
//! thousand SYNs are one fact.

use crate::{
    intent::Owner,
    key::{Address, IfIndex},
    packet::{Packet, protocol},
};

/// A subject, as the programs write it into a finding's key. [`SubjectKey::decode`] says what it means.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectKey([u64; 4]);

/// What a subject's key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A process's sockets: all processes of one program, user and cgroup.
    Program(Program),
    /// What the kernel sends by itself.
    Kernel {
        /// What it is.
        what: KernelPacket,
        /// The local address that it is sent from; unspecified if it has none.
        address: Address,
    },
    /// What is forwarded.
    Forwarded {
        /// The interface that it came in by.
        arrived: IfIndex,
        /// The IP protocol; zero for what is no IP packet.
        protocol: u8,
    },
    /// What arrives, and no process's socket receives.
    Receiver {
        /// The local address that it is for; unspecified if it is for none of this host's.
        address: Address,
        /// The IP protocol.
        protocol: u8,
    },
    /// All programs of a user that have no finding of their own, since the user has too many ([`crate::share`]).
    OtherPrograms {
        /// The user.
        uid: u32,
    },
    /// All that has no finding of its own, since there are too many of its class.
    Others,
}

/// A program as a user runs it in a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Program {
    /// The executable's inode number; zero when unknown.
    pub inode: u64,
    /// The executable's file system (`super_block->s_dev`).
    pub device: u32,
    /// What distinguishes the file from another that had the inode's number before it (`inode->i_generation`), where the file
    /// system keeps that.
    pub generation: u32,
    /// The user.
    pub uid: u32,
    /// The cgroup v2 id.
    pub cgroup: u64,
}

/// What the kernel sends by itself.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelPacket {
    /// No IP packet: ARP, a bridge's or a bond's own protocol.
    NotIp,
    /// TCP without a socket: a RST.
    TcpReset,
    /// ICMP or ICMPv6, but for what follows.
    Icmp,
    /// Neighbour solicitation and advertisement, router solicitation, redirect (RFC 4861).
    NeighbourDiscovery,
    /// A report of group memberships: IGMP, MLD (RFC 3376, RFC 3810).
    GroupMembership,
    /// The outer packet of a tunnel, of this IP protocol.
    Tunnel(u8),
    /// Another IP protocol.
    Protocol(u8),
}

const PROGRAM: u8 = 1;
const KERNEL: u8 = 2;
const FORWARDED: u8 = 3;
const RECEIVER: u8 = 4;
const OTHER_PROGRAMS: u8 = 5;
const OTHERS: u8 = 6;

impl SubjectKey {
    /// The program that owns a socket.
    #[inline(always)]
    pub const fn program(owner: &Owner) -> Self {
        Self([
            owner.executable_inode,
            owner.cgroup,
            (owner.executable_generation as u64) << 32 | owner.executable_device as u64,
            tag(PROGRAM, 0, 0, owner.uid),
        ])
    }

    /// What the kernel sends by itself, from a local address.
    #[inline(always)]
    pub const fn kernel(what: KernelPacket, address: [u64; 2]) -> Self {
        let (what, protocol) = what.numbers();
        let [high, low] = address;
        Self([high, low, 0, tag(KERNEL, what, protocol, 0)])
    }

    /// What came in by an interface and is forwarded.
    #[inline(always)]
    pub const fn forwarded(arrived: IfIndex, protocol: u8) -> Self {
        Self([arrived.0 as u64, 0, 0, tag(FORWARDED, 0, protocol, 0)])
    }

    /// What arrives at a local address, and no process's socket receives.
    #[inline(always)]
    pub const fn receiver(address: [u64; 2], protocol: u8) -> Self {
        let [high, low] = address;
        Self([high, low, 0, tag(RECEIVER, 0, protocol, 0)])
    }

    /// All programs of a user that have no finding of their own.
    #[inline(always)]
    pub const fn other_programs(uid: u32) -> Self {
        Self([0, 0, 0, tag(OTHER_PROGRAMS, 0, 0, uid)])
    }

    /// All that has no finding of its own.
    pub const OTHERS: Self = Self([0, 0, 0, tag(OTHERS, 0, 0, 0)]);

    /// Whether this is a program, of this user.
    #[inline(always)]
    pub const fn user_of_program(&self) -> Option<u32> {
        if self.0[3] as u8 == PROGRAM {
            Some((self.0[3] >> 32) as u32)
        } else {
            None
        }
    }

    /// Whether this is for what has no finding of its own.
    #[inline(always)]
    pub(crate) const fn is_of_others(&self) -> bool {
        self.0[3] as u8 >= OTHER_PROGRAMS
    }

    /// What the key means; nothing for one that no program writes.
    pub fn decode(&self) -> Option<Subject> {
        let [first, second, third, tag] = self.0;
        let [kind, what, protocol, _, user @ ..] = tag.to_le_bytes();
        let uid = u32::from_le_bytes(user);
        let address = || Address::of_words([first, second]);
        Some(match kind {
            PROGRAM => Subject::Program(Program {
                inode: first,
                device: third as u32,
                generation: (third >> 32) as u32,
                uid,
                cgroup: second,
            }),
            KERNEL => Subject::Kernel {
                what: KernelPacket::from_numbers(what, protocol)?,
                address: address(),
            },
            FORWARDED => Subject::Forwarded {
                arrived: IfIndex(first as u32),
                protocol,
            },
            RECEIVER => Subject::Receiver {
                address: address(),
                protocol,
            },
            OTHER_PROGRAMS => Subject::OtherPrograms { uid },
            OTHERS => Subject::Others,
            _ => return None,
        })
    }

    /// What distinguishes it from any other, as bytes: the same on every run and every architecture of one byte order.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

#[inline(always)]
const fn tag(kind: u8, what: u8, protocol: u8, uid: u32) -> u64 {
    (uid as u64) << 32 | (protocol as u64) << 16 | (what as u64) << 8 | kind as u64
}

impl KernelPacket {
    /// What a packet is that no process sent and that did not come in anywhere; `is_outer`, if a tunnel made it.
    #[inline(always)]
    pub const fn of(packet: &Packet, is_outer: bool) -> Self {
        /// IGMP (RFC 3376).
        const IGMP: u8 = 2;
        if is_outer {
            return Self::Tunnel(packet.protocol);
        }
        match (packet.protocol, packet.icmp_type) {
            (protocol::TCP, _) => Self::TcpReset,
            // Multicast Listener Query, Report, Done; version 2's report.
            (IGMP, _) | (protocol::ICMPV6, 130..=132 | 143) => Self::GroupMembership,
            (protocol::ICMPV6, 133..=137) => Self::NeighbourDiscovery,
            (protocol::ICMP | protocol::ICMPV6, _) => Self::Icmp,
            (other, _) => Self::Protocol(other),
        }
    }

    #[inline(always)]
    const fn numbers(self) -> (u8, u8) {
        match self {
            Self::NotIp => (0, 0),
            Self::TcpReset => (1, 0),
            Self::Icmp => (2, 0),
            Self::NeighbourDiscovery => (3, 0),
            Self::GroupMembership => (4, 0),
            Self::Tunnel(protocol) => (5, protocol),
            Self::Protocol(protocol) => (6, protocol),
        }
    }

    const fn from_numbers(what: u8, protocol: u8) -> Option<Self> {
        Some(match what {
            0 => Self::NotIp,
            1 => Self::TcpReset,
            2 => Self::Icmp,
            3 => Self::NeighbourDiscovery,
            4 => Self::GroupMembership,
            5 => Self::Tunnel(protocol),
            6 => Self::Protocol(protocol),
            _ => return None,
        })
    }
}

const _: () = assert!(size_of::<SubjectKey>() == 32);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, words only.
    unsafe impl aya::Pod for super::SubjectKey {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Address = Address::v4([10, 0, 0, 1]);

    #[test]
    fn what_is_encoded_is_decoded() {
        let program = Program {
            inode: 0x1122_3344_5566_7788,
            device: 0x0080_0001,
            generation: 0xdead_beef,
            uid: 1000,
            cgroup: 77,
        };
        let owner = Owner {
            executable_inode: program.inode,
            executable_device: program.device,
            executable_generation: program.generation,
            uid: program.uid,
            cgroup: program.cgroup,
            pid: 4711,
            ..Owner::default()
        };
        let key = SubjectKey::program(&owner);
        assert_eq!(key.decode(), Some(Subject::Program(program)));
        assert_eq!(key.user_of_program(), Some(1000));
        let another = Owner { pid: 4712, ..owner };
        assert_eq!(key, SubjectKey::program(&another), "of the same program");

        for what in [
            KernelPacket::NotIp,
            KernelPacket::TcpReset,
            KernelPacket::Icmp,
            KernelPacket::NeighbourDiscovery,
            KernelPacket::GroupMembership,
            KernelPacket::Tunnel(47),
            KernelPacket::Protocol(89),
        ] {
            let key = SubjectKey::kernel(what, ADDRESS.words());
            let subject = Subject::Kernel {
                what,
                address: ADDRESS,
            };
            assert_eq!(key.decode(), Some(subject));
            assert_eq!((key.user_of_program(), key.is_of_others()), (None, false));
        }
        let (arrived, protocol) = (IfIndex(7), 17);
        assert_eq!(
            SubjectKey::forwarded(arrived, protocol).decode(),
            Some(Subject::Forwarded { arrived, protocol })
        );
        assert_eq!(
            SubjectKey::receiver(ADDRESS.words(), 6).decode(),
            Some(Subject::Receiver {
                address: ADDRESS,
                protocol: 6
            })
        );
        let others = SubjectKey::other_programs(1000);
        assert_eq!(others.decode(), Some(Subject::OtherPrograms { uid: 1000 }));
        assert_eq!(SubjectKey::OTHERS.decode(), Some(Subject::Others));
        assert!(others.is_of_others() && SubjectKey::OTHERS.is_of_others());
        assert_eq!(SubjectKey::default().decode(), None);
    }

    #[test]
    fn the_kernels_packets_are_distinguished() {
        let of = |protocol, icmp_type| {
            KernelPacket::of(
                &Packet {
                    protocol,
                    icmp_type,
                    ..Packet::default()
                },
                false,
            )
        };
        assert_eq!(of(6, 0), KernelPacket::TcpReset);
        assert_eq!(of(1, 3), KernelPacket::Icmp);
        assert_eq!(of(58, 1), KernelPacket::Icmp);
        assert_eq!(of(58, 135), KernelPacket::NeighbourDiscovery);
        assert_eq!(of(58, 143), KernelPacket::GroupMembership);
        assert_eq!(of(2, 0), KernelPacket::GroupMembership);
        assert_eq!(of(89, 0), KernelPacket::Protocol(89));
        let gre = Packet {
            protocol: 47,
            ..Packet::default()
        };
        assert_eq!(KernelPacket::of(&gre, true), KernelPacket::Tunnel(47));
    }
}
