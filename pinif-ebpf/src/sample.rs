//! What a finding has seen, by example: the first processes, sockets and destinations, each with its own count.

use crate::{
    intent::Owner,
    key::{Address, SocketCookie},
    packet::Packet,
};

/// How many of each a finding keeps. It knows that there were more, and not how many.
pub const MOST: usize = 16;

/// What there are samples of.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Processes.
    Process = 0,
    /// Sockets.
    Socket = 1,
    /// Destinations.
    Destination = 2,
}

impl Of {
    /// All.
    pub const ALL: [Self; 3] = [Self::Process, Self::Socket, Self::Destination];
}

/// One sample. All kinds have the same layout, so that the programs need no code for each.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// What distinguishes it from others of its kind. The first word is never zero: that is a free place.
    pub key: [u64; 3],
    /// Its packets. Exact, over all CPUs.
    pub packets: u64,
}

/// What a finding has seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// By [`Of`].
    pub lists: [[Sample; MOST]; 3],
    /// Not zero: there were more. By [`Of`].
    pub more: [u32; 3],
    /// How many of its packets were captured, and in which run ([`crate::capture::Progress`]).
    pub captured: u32,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number, as of [`Owner::pid`]; zero where it has none there.
    pub pid: u32,
    /// When it was started, in nanoseconds of `CLOCK_BOOTTIME`; zero when unknown.
    pub started: u64,
}

/// Where packets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The address.
    pub address: Address,
    /// The port, in host byte order; zero where there is none.
    pub port: u16,
    /// The IP protocol.
    pub protocol: u8,
}

/// Marks a destination's first word, so that it is never zero.
const DESTINATION: u64 = 1 << 63;

impl Sample {
    /// The key of a process; zeros where it is not known.
    #[inline(always)]
    pub const fn of_process(owner: &Owner) -> [u64; 3] {
        // One that has no number here has a start. What is above the number keeps the word from being zero, and is not read.
        [owner.started << 32 | owner.pid as u64, owner.started, 0]
    }

    /// The key of a socket; zeros where there is none.
    #[inline(always)]
    pub const fn of_socket(cookie: SocketCookie) -> [u64; 3] {
        [cookie.0, 0, 0]
    }

    /// The key of a packet's destination, the words of whose address these are.
    #[inline(always)]
    pub const fn of_destination(packet: &Packet, address: [u64; 2]) -> [u64; 3] {
        let end = (packet.destination_port as u64) << 8 | packet.protocol as u64;
        let [high, low] = address;
        [DESTINATION | end, high, low]
    }

    /// The process that it is of.
    pub const fn process(&self) -> Process {
        Process {
            pid: self.key[0] as u32,
            started: self.key[1],
        }
    }

    /// The socket that it is of.
    pub const fn socket(&self) -> SocketCookie {
        SocketCookie(self.key[0])
    }

    /// The destination that it is of.
    pub fn destination(&self) -> Destination {
        let [end, high, low] = self.key;
        Destination {
            address: Address::of_words([high, low]),
            port: (end >> 8) as u16,
            protocol: end as u8,
        }
    }
}

impl Samples {
    /// Those of one kind.
    pub fn of(&self, kind: Of) -> impl Iterator<Item = &Sample> {
        let list = self.lists[kind as usize].iter();
        list.filter(|sample| sample.key[0] != 0)
    }

    /// How many there are of all kinds, and one more for each kind of which there were more.
    pub fn number(&self) -> u8 {
        let of = |kind| self.of(kind).count() + usize::from(self.has_more(kind));
        Of::ALL.into_iter().map(of).sum::<usize>() as u8
    }

    /// Whether there were more of a kind than are kept.
    pub const fn has_more(&self, kind: Of) -> bool {
        self.more[kind as usize] != 0
    }
}

const _: () = assert!(size_of::<Samples>() == 3 * MOST * 32 + 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let packet = Packet {
            destination: Address::v4([10, 0, 0, 2]),
            destination_port: 9,
            protocol: 17,
            ..Packet::default()
        };
        let owner = Owner {
            pid: 4711,
            started: 99,
            ..Owner::default()
        };
        let mut samples = Samples::default();
        let keys = [
            Sample::of_process(&owner),
            Sample::of_socket(SocketCookie(7)),
            Sample::of_destination(&packet, packet.destination.words()),
        ];
        for (list, key) in samples.lists.iter_mut().zip(keys) {
            list[3] = Sample { key, packets: 1 };
        }
        let one = |kind| *samples.of(kind).next().expect("one");
        let process = Process {
            pid: 4711,
            started: 99,
        };
        assert_eq!(one(Of::Process).process(), process);
        assert_eq!(one(Of::Socket).socket(), SocketCookie(7));
        let destination = Destination {
            address: packet.destination,
            port: 9,
            protocol: 17,
        };
        assert_eq!(one(Of::Destination).destination(), destination);
        assert!(Of::ALL.iter().all(|&kind| samples.of(kind).count() == 1));
        assert_eq!(samples.number(), 3);
        samples.more = [1, 0, 1];
        assert_eq!(samples.number(), 5);
        let any = Sample::of_destination(&Packet::default(), [0; 2]);
        assert_ne!(any[0], 0, "the unspecified address is one as well");
    }
}
