//! What is sent by whom, where the auditor learns: what a draft of a policy is made of, and what another policy is tried on.

use crate::{
    intent::Name,
    key::{Address, IfIndex, NetNsCookie, SocketCookie},
    packet::{Packet, protocol},
    sighting::Origin,
};

/// How many entries there is room for. Each takes 96 bytes of the kernel's memory, with 24 of key and 16 of value, and the table 16 for each
/// of 131,072 buckets: 12.5 MiB.
pub const ENTRIES: u32 = 114_688;
/// How many senders there is room for, each with 64 bytes of key and 32 of value, in slabs of 192 bytes: 1.6 MiB.
pub const SENDERS: u32 = 8_192;
/// How many sockets are remembered as counted, of each destination: 1.6 MiB. One that sends on after so many others is counted again.
pub const SOCKETS: u32 = 16_384;
/// The first port that is nobody's service, as Linux gives ports to clients (`ip_local_port_range`).
pub const EPHEMERAL: u16 = 32_768;
/// A time in the table is in units of `1 << TIME_SHIFT` nanoseconds of `CLOCK_MONOTONIC`, some 67 milliseconds: 32 bits last nine years.
pub const TIME_SHIFT: u32 = 26;

/// Who sends by which interface. What it sends to is a [`LearnedKey`] each.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnedSender {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The source address; unspecified of what is forwarded.
    pub local: Address,
    /// The cgroup v2 id; zero where no process sent.
    pub cgroup: u64,
    /// The executable's inode number; zero where it is unknown.
    pub executable_inode: u64,
    /// The executable's file system.
    pub executable_device: u32,
    /// What distinguishes the executable from another that had its inode before.
    pub executable_generation: u32,
    /// The socket's user; [`NO_USER`](crate::intent::NO_USER) where no process sent.
    pub uid: u32,
    /// The bound device.
    pub bound: IfIndex,
    /// Where the packets left.
    pub egress: IfIndex,
    /// The [`Origin`].
    pub origin: u8,
    /// Not zero: the socket names the interface with each packet (`AF_PACKET`).
    pub names_interface: u8,
    /// Zero.
    pub _pad: u16,
}

/// The first process of a sender, and the sender's number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedProcess {
    /// When it was started ([`Owner::started`](crate::intent::Owner::started)).
    pub started: u64,
    /// The number that the sender has in [`LearnedKey::sender`].
    pub number: u32,
    /// The number of the process; zero where it is unknown.
    pub pid: u32,
    /// Its name: untrusted bytes, ended by a zero.
    pub comm: Name,
}

/// Packets that are the same in all that a policy looks at, but for the port that names no service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnedKey {
    /// The destination address.
    pub remote: Address,
    /// Who sends ([`LearnedProcess::number`]).
    pub sender: u32,
    /// The service's port, in host byte order ([`service`]); zero where there is none.
    pub port: u16,
    /// The IP protocol.
    pub protocol: u8,
    /// Not zero: the port is that of this host, a service that answers.
    pub serves: u8,
}

/// What is known of such packets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedState {
    /// How many sockets sent such packets; of what has no socket, how often one was judged.
    pub sockets: u64,
    /// When the first was seen ([`TIME_SHIFT`]).
    pub first: u32,
    /// When a socket of them was last judged.
    pub last: u32,
}

/// A socket that was counted for one destination.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedSocket {
    /// The socket.
    pub cookie: SocketCookie,
    /// What it was counted for.
    pub key: LearnedKey,
}

/// A program is new among those that send: who reads this can look at its process while it is there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learner {
    /// The cgroup.
    pub cgroup: u64,
    /// The executable's inode number.
    pub executable_inode: u64,
    /// The executable's file system.
    pub executable_device: u32,
    /// What distinguishes it.
    pub executable_generation: u32,
    /// When the process was started.
    pub started: u64,
    /// Its number.
    pub pid: u32,
    /// Zero.
    pub _pad: u32,
}

impl LearnedSender {
    /// Who sent.
    pub const fn origin(&self) -> Origin {
        Origin::from_number(self.origin)
    }

    /// Whether the socket names the interface with each packet.
    pub const fn names_interface(&self) -> bool {
        self.names_interface != 0
    }
}

impl LearnedKey {
    /// Whether [`Self::port`] is that of this host.
    pub const fn serves(&self) -> bool {
        self.serves != 0
    }
}

/// A time of `CLOCK_MONOTONIC` in nanoseconds, as the table has it.
#[inline(always)]
pub const fn time(nanoseconds: u64) -> u32 {
    (nanoseconds >> TIME_SHIFT) as u32
}

/// The port that names the service of a packet, and whether it is the source's: the lower one, where that is none that a client
/// is given; else zero.
#[inline(always)]
pub const fn service(packet: &Packet) -> (u16, bool) {
    if packet.later_fragment || !protocol::has_ports(packet.protocol) {
        return (0, false);
    }
    let (source, destination) = (packet.source_port, packet.destination_port);
    let serves = source != 0 && source < destination;
    let lower = if serves { source } else { destination };
    if lower < EPHEMERAL {
        (lower, serves)
    } else {
        (0, false)
    }
}

const _: () = assert!(size_of::<LearnedSender>() == 64);
const _: () = assert!(size_of::<LearnedProcess>() == 32);
const _: () = assert!(size_of::<LearnedKey>() == 24);
const _: () = assert!(size_of::<LearnedState>() == 16);
const _: () = assert!(size_of::<LearnedSocket>() == 32);
const _: () = assert!(size_of::<Learner>() == 40);

#[cfg(feature = "user")]
mod pod {
    use super::{LearnedKey, LearnedProcess, LearnedSender, LearnedState, Learner};
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    unsafe impl aya::Pod for LearnedSender {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LearnedProcess {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LearnedKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LearnedState {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Learner {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_port_names_the_service_unless_clients_are_given_it() {
        let of = |source_port, destination_port| {
            service(&Packet {
                source_port,
                destination_port,
                protocol: protocol::TCP,
                ..Packet::default()
            })
        };
        assert_eq!(of(40_000, 443), (443, false));
        assert_eq!(of(443, 40_000), (443, true));
        assert_eq!(of(123, 123), (123, false));
        assert_eq!(of(1_025, 53), (53, false));
        assert_eq!(of(50_051, 40_000), (0, false));
        assert_eq!(of(32_768, 40_000), (0, false));
        assert_eq!(of(0, 514), (514, false));
        let icmp = Packet {
            source_port: 1,
            destination_port: 2,
            protocol: protocol::ICMP,
            ..Packet::default()
        };
        assert_eq!(service(&icmp), (0, false));
    }
}
