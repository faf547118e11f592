//! Whether the packets of one finding are of the connections of another, as far as their keys, first packets and samples show.
//!
//! Pure: what it answers depends on what was counted, and not on what was reported first.

use std::cmp::Reverse;

use pinif_ebpf::{
    intent::NO_USER,
    key::{Address, IfIndex, NetNsCookie},
    packet::protocol,
    sample::{Destination, Of},
    sighting::{FindingKey, FindingState},
    subject::{KernelPacket, Program, Subject},
    verdict::{Direction, Kind, Severity},
};

/// What is known of a finding that may be of another's connections.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    key: &'a FindingKey,
    state: &'a FindingState,
    kind: Kind,
    severity: Severity,
    subject: Subject,
}

/// Findings in which one may be of another's connections: what left and arrived by one interface, of one program or local address. What
/// was answered by another interface is where its program was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    netns: NetNsCookie,
    interface: IfIndex,
    of: Common,
}

/// What the findings of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Common {
    Program(Subject),
    Address(Address),
}

/// What goes before in a group: a finding is named in one that does.
pub type Rank = (Reverse<Severity>, u64, FindingKey);

impl<'a> Evidence<'a> {
    /// Of a finding's key and what is counted of it. Nothing of one that no connection explains: what was dropped is answered by nobody,
    /// and a copy is the fault of whoever made it.
    pub fn of(key: &'a FindingKey, state: &'a FindingState) -> Option<Self> {
        let kind = Kind::from_number(key.kind)?;
        let subject = key.subject.decode()?;
        let is_apart = key.dropped != 0
            || kind == Kind::CopyEscape
            || kind.row().direction == Direction::Unseen
            || state.count.packets == 0;
        let is_of_one = matches!(
            subject,
            Subject::Program(_) | Subject::Kernel { .. } | Subject::Receiver { .. }
        );
        (is_of_one && !is_apart).then_some(Self {
            key,
            state,
            kind,
            severity: Severity::from_number(key.severity)?,
            subject,
        })
    }

    /// The groups that it is in.
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        let FindingKey { netns, egress, .. } = *self.key;
        let asked = self.asked().unwrap_or(egress);
        let of = match self.subject {
            Subject::Kernel { address, .. } | Subject::Receiver { address, .. } => {
                [None, Some(Common::Address(address))]
            }
            // By its sockets, it may be of any that uses the address.
            Subject::Program(unknown) if is_unknown(&unknown) => {
                [None, Some(Common::Address(self.local().0))]
            }
            // What arrives for a program's socket may be answered by that alone.
            program if self.arrived() => [Some(Common::Program(program)), None],
            program => [
                Some(Common::Program(program)),
                Some(Common::Address(self.local().0)),
            ],
        };
        of.into_iter().flatten().map(move |of| Group {
            netns,
            interface: match of {
                Common::Program(_) => asked,
                Common::Address(_) => egress,
            },
            of,
        })
    }

    /// Of an answer that left by another interface than it was asked by, where it was asked.
    fn asked(&self) -> Option<IfIndex> {
        (self.kind == Kind::ReplyEscape).then_some(self.state.sighting.arrived)
    }

    /// The group in which it may be a part of another.
    pub fn home(&self) -> Option<Group> {
        self.groups().next()
    }

    /// Its place among those that it may be named in, or that may be named in it: the gravest first, of equal ones that whose first packet
    /// was first.
    pub fn rank(&self) -> Rank {
        (Reverse(self.severity), self.state.sighting.time, *self.key)
    }

    /// Whether the kernel may answer it, by a finding that is graver than this: what arrived for nobody.
    pub fn may_be_answered(&self) -> bool {
        let is_for_nobody = matches!(self.subject, Subject::Receiver { .. });
        is_for_nobody && self.arrived() && self.severity < Severity::Leak
    }

    /// Whether it may come to be a part of the other, by all but what was counted.
    pub fn may_be_part_of(&self, whole: &Self) -> bool {
        let is_of = Side::of(self).may_be_of(&Side::of(whole));
        is_of && (whole.rank() < self.rank() || self.may_come_before(whole))
    }

    /// Whether it may have come before the first packet that it is for. A neighbour of IPv6 is asked for, and answers, before that leaves
    /// (`ip6_finish_output2`, RFC 4861, 7.2): of ICMPv6, an echo alone has an identifier where others have ports. And the kernel resets what
    /// comes for a port at which nobody listens yet; so does what was left of the same socket before somebody was known to have it.
    fn may_come_before(&self, whole: &Self) -> bool {
        let Subject::Program(of) = whole.subject else {
            return false;
        };
        let first = &self.state.sighting;
        let may_be = match self.subject {
            Subject::Receiver { .. } => {
                first.protocol == protocol::ICMPV6
                    && (first.source_port, first.destination_port) == (0, 0)
            }
            Subject::Kernel { what, .. } => what == KernelPacket::TcpReset,
            Subject::Program(mine) => is_unknown(&mine) && !is_unknown(&of),
            _ => false,
        };
        may_be && self.severity <= whole.severity
    }

    /// Whether all that is known of its packets is of the other's connections, and the other is the one to name it.
    pub fn is_part_of(&self, whole: &Self) -> bool {
        self.may_be_part_of(whole)
            && match (self.subject, whole.subject) {
                (Subject::Program(_), Subject::Program(_)) => self.shares_sockets(whole),
                (_, Subject::Program(_)) => self.is_of_connection(whole) || self.is_icmp_for(whole),
                (Subject::Kernel { .. }, _) => self.answers(whole),
                _ => whole.answers(self),
            }
    }

    fn arrived(&self) -> bool {
        arrived(self.kind)
    }

    /// The local end of the first packet.
    fn local(&self) -> (Address, u16) {
        let first = &self.state.sighting;
        match self.arrived() {
            true => (first.destination, first.destination_port),
            false => (first.source, first.source_port),
        }
    }

    /// The remote end of the first packet.
    fn remote(&self) -> (Address, u16) {
        let first = &self.state.sighting;
        match self.arrived() {
            true => (first.source, first.source_port),
            false => (first.destination, first.destination_port),
        }
    }

    /// Whether its sockets are the other's. Of more than are kept, the first ones decide: all of its own that are known must be known of
    /// the other, or most of them where the other has more.
    fn shares_sockets(&self, whole: &Self) -> bool {
        let sockets = |of: &Self| {
            let known = of.state.samples.of(Of::Socket);
            known.map(|sample| sample.socket()).collect::<Vec<_>>()
        };
        let (mine, others) = (sockets(self), sockets(whole));
        let shared = mine.iter().filter(|one| others.contains(one)).count();
        match (self.has_more(), whole.has_more()) {
            (true, false) => false,
            (false, false) => shared > 0 && shared == mine.len(),
            (_, true) => shared > mine.len() / 2,
        }
    }

    fn has_more(&self) -> bool {
        self.state.samples.has_more(Of::Socket)
    }

    /// Whether what no process sent or received is of a program's connection: all of it went to, or came for, one end of that.
    fn is_of_connection(&self, whole: &Self) -> bool {
        let (first, theirs) = (&self.state.sighting, &whole.state.sighting);
        let (end, is_same) = if self.arrived() {
            (self.local(), self.local() == whole.local())
        } else {
            let is_reset = matches!(
                self.subject,
                Subject::Kernel {
                    what: KernelPacket::TcpReset,
                    ..
                }
            );
            let ends = (self.local(), self.remote());
            let is_same = is_reset && ends == (whole.local(), whole.remote());
            (self.remote(), is_same)
        };
        is_same
            && first.protocol == theirs.protocol
            && protocol::has_ports(first.protocol)
            && self.went_to() == Some((end.0, end.1, first.protocol))
    }

    /// Whether it is the ICMP by which the host that a program's packets went to answers them: to the same address, and not more than were
    /// sent.
    fn is_icmp_for(&self, whole: &Self) -> bool {
        let is_icmp = matches!(
            self.state.sighting.protocol,
            protocol::ICMP | protocol::ICMPV6
        );
        is_icmp
            && self.arrived()
            && self.local().0 == whole.local().0
            && self.remote().0 == whole.remote().0
            && self.state.count.packets <= whole.state.count.packets
    }

    /// Where all of its packets went, if that is one.
    fn went_to(&self) -> Option<(Address, u16, u8)> {
        let mut all = self.state.samples.of(Of::Destination);
        let Destination {
            address,
            port,
            protocol,
        } = all.next()?.destination();
        let is_one = all.next().is_none() && !self.state.samples.has_more(Of::Destination);
        is_one.then_some((address, port, protocol))
    }

    /// Whether the kernel answers what arrived for nobody. The sources of what arrived are not kept but for the first; so the first must
    /// fit, and there must not be more answers than there was to be answered.
    fn answers(&self, arrived: &Self) -> bool {
        let Subject::Kernel { what, address } = self.subject else {
            return false;
        };
        let Subject::Receiver {
            address: for_whom,
            protocol,
        } = arrived.subject
        else {
            return false;
        };
        let fits = match what {
            KernelPacket::TcpReset => {
                protocol == protocol::TCP && self.remote() == arrived.remote()
            }
            KernelPacket::Icmp => self.remote().0 == arrived.remote().0,
            KernelPacket::NotIp
            | KernelPacket::NeighbourDiscovery
            | KernelPacket::GroupMembership
            | KernelPacket::Tunnel(_)
            | KernelPacket::Protocol(_) => false,
        };
        fits && address == for_whom && self.state.count.packets <= arrived.state.count.packets
    }
}

/// What of a key says whether its finding may be of another's connections.
#[derive(Clone, Copy, Debug)]
struct Side {
    place: (NetNsCookie, IfIndex),
    /// Where the same program's packets of the other direction are found; none where that is not known.
    opposite: Option<IfIndex>,
    subject: Subject,
    arrived: bool,
}

impl Side {
    fn of(evidence: &Evidence<'_>) -> Self {
        Self {
            place: (evidence.key.netns, evidence.key.egress),
            opposite: Some(evidence.asked().unwrap_or(evidence.key.egress)),
            subject: evidence.subject,
            arrived: evidence.arrived(),
        }
    }

    fn read(key: &FindingKey) -> Option<Self> {
        let kind = Kind::from_number(key.kind)?;
        Some(Self {
            place: (key.netns, key.egress),
            // Where an answer was asked is in no key.
            opposite: (kind != Kind::ReplyEscape).then_some(key.egress),
            subject: key.subject.decode()?,
            arrived: arrived(kind),
        })
    }

    fn may_be_of(&self, whole: &Self) -> bool {
        let may = match (self.subject, whole.subject) {
            (Subject::Program(mine), Subject::Program(other)) => {
                mine == other && self.arrived != whole.arrived
                    || is_unknown(&mine) && !is_unknown(&other)
            }
            (_, Subject::Program(_)) => !whole.arrived,
            (Subject::Kernel { .. }, Subject::Receiver { .. })
            | (Subject::Receiver { .. }, Subject::Kernel { .. }) => true,
            _ => false,
        };
        may && match (self.subject, whole.subject) {
            (Subject::Program(_), Subject::Program(_)) => self.is_opposite(whole),
            _ => self.place == whole.place,
        }
    }

    fn is_opposite(&self, whole: &Self) -> bool {
        let mut known = self.opposite.iter().zip(&whole.opposite);
        self.place.0 == whole.place.0 && known.all(|(mine, other)| mine == other)
    }
}

/// Whether one of two findings may come to be a part of the other, by their keys alone: nothing that was counted is read for it.
pub fn may_be_related(one: &FindingKey, other: &FindingKey) -> bool {
    let sides = Side::read(one).zip(Side::read(other));
    sides.is_some_and(|(one, other)| one.may_be_of(&other) || other.may_be_of(&one))
}

fn arrived(kind: Kind) -> bool {
    kind.row().direction == Direction::Ingress
}

/// Whether nobody knows whose socket it was: what is left of a connection has no process.
fn is_unknown(program: &Program) -> bool {
    program.inode == 0 && program.uid == NO_USER
}

/// Of each, the one that it is named in: the first in rank of those that it is a part of.
pub fn wholes(all: &[Evidence<'_>]) -> Vec<Option<usize>> {
    let whole_of = |one: &Evidence<'_>| {
        let wholes = (0..all.len()).filter(|&place| one.is_part_of(&all[place]));
        wholes.min_by_key(|&place| all[place].rank())
    };
    all.iter().map(whole_of).collect()
}

#[cfg(test)]
mod tests;
