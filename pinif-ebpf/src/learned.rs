//! What is sent by whom, where the auditor learns: what a draft of a policy is made of, and what another policy is tried on.

use crate::{
    intent::Name,
    key::{Address, IfIndex, NetNsCookie, SocketCookie},
    packet::{Packet, protocol},
    sighting::Origin,
};

/// How many entries there is room for, each with 80 bytes of key and 56 of value: 14 MiB with what the kernel needs besides.
pub const ENTRIES: u32 = 65_536;
/// How many sockets are remembered as counted, of each destination: 2 MiB. One that sends on after so many others is counted again.
pub const SOCKETS: u32 = 16_384;
/// The first port that is nobody's service, as Linux gives ports to clients (`ip_local_port_range`).
pub const EPHEMERAL: u16 = 32_768;

/// [`LearnedKey::what`].
pub mod what {
    /// The bits of the [`Origin`](crate::sighting::Origin).
    pub const ORIGIN: u8 = 0b11;
    /// The port is that of this host: a service that answers.
    pub const SERVES: u8 = 1 << 2;
    /// The socket names the interface with each packet (`AF_PACKET`).
    pub const NAMES_INTERFACE: u8 = 1 << 3;
}

/// Packets that are the same in all that a policy looks at, but for the port that names no service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnedKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The destination address.
    pub remote: Address,
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
    /// The service's port, in host byte order ([`service`]); zero where there is none.
    pub port: u16,
    /// The IP protocol.
    pub protocol: u8,
    /// What else there is to say ([`what`]).
    pub what: u8,
}

/// What is known of such packets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedState {
    /// How many sockets sent such packets; of what has no socket, how often one was judged.
    pub sockets: u64,
    /// When the first was seen, in nanoseconds of `CLOCK_MONOTONIC`.
    pub first: u64,
    /// When a socket of them was last judged.
    pub last: u64,
    /// When the first process was started ([`Owner::started`](crate::intent::Owner::started)).
    pub started: u64,
    /// Its number; zero where it is unknown.
    pub pid: u32,
    /// Zero.
    pub _pad: u32,
    /// Its name: untrusted bytes, ended by a zero.
    pub comm: Name,
}

/// A socket that was counted for one destination.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedSocket {
    /// The socket.
    pub cookie: SocketCookie,
    /// The destination.
    pub remote: Address,
    /// The bound device.
    pub bound: IfIndex,
    /// The egress interface.
    pub egress: IfIndex,
    /// [`LearnedKey::port`].
    pub port: u16,
    /// [`LearnedKey::protocol`].
    pub protocol: u8,
    /// [`LearnedKey::what`].
    pub what: u8,
    /// Zero.
    pub _pad: u32,
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

impl LearnedKey {
    /// Who sent.
    pub const fn origin(&self) -> Origin {
        Origin::from_number(self.what & what::ORIGIN)
    }

    /// Whether [`Self::port`] is that of this host.
    pub const fn serves(&self) -> bool {
        self.what & what::SERVES != 0
    }

    /// Whether the socket names the interface with each packet.
    pub const fn names_interface(&self) -> bool {
        self.what & what::NAMES_INTERFACE != 0
    }
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

const _: () = assert!(size_of::<LearnedKey>() == 80);
const _: () = assert!(size_of::<LearnedState>() == 56);
const _: () = assert!(size_of::<LearnedSocket>() == 40);
const _: () = assert!(size_of::<Learner>() == 40);

#[cfg(feature = "user")]
mod pod {
    use super::{LearnedKey, LearnedState, Learner};
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
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
