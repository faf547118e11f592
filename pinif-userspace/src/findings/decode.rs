//! A sighting as the kernel wrote it, decoded once: numbers become what they mean.

use std::net::IpAddr;

use pinif_ebpf::{
    intent::{self, NO_USER, flag},
    key::{IfIndex, NetNsCookie, SocketCookie},
    packet::protocol,
    policy::NO_RULE,
    sighting::{FindingKey, Origin, Sighting},
    subject::Subject,
    verdict::{Kind, KindSet, Severity},
};

use crate::host::{attributes::text, processes::ProcessId};

/// The first packet of a finding, and what the kernel knew of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighted {
    /// The verdict.
    pub kind: Kind,
    /// How grave it is.
    pub severity: Severity,
    /// It was dropped, and did not leave, or did not come in.
    pub dropped: bool,
    /// The other kinds that held too.
    pub also: Vec<Kind>,
    /// Who sent it.
    pub origin: Origin,
    /// Who the finding is about.
    pub subject: Subject,
    /// The namespace that it left.
    pub netns: NetNsCookie,
    /// Where it left.
    pub egress: IfIndex,
    /// The bound device, of the socket or of the flow that this is a copy of.
    pub bound: Option<IfIndex>,
    /// The device that the socket was bound to before.
    pub previous_bound: Option<IfIndex>,
    /// Where the packet came in, if it was forwarded or copied.
    pub arrived: Option<IfIndex>,
    /// The interface that alone has the source address, if that was asked.
    pub source_owner: Option<IfIndex>,
    /// The IP headers; none for what is no IP packet.
    pub headers: Option<Headers>,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The socket, or the one whose packet this is a copy of.
    pub socket: Option<SocketCookie>,
    /// The socket's inode number, by which processes hold it.
    pub socket_inode: Option<u64>,
    /// The socket's family (`AF_INET`, …); zero without one.
    pub family: i32,
    /// The rule that decided, by its number in the policy of `generation`.
    pub rule: Option<usize>,
    /// The policy that it was judged by.
    pub generation: u32,
    /// The packet's mark.
    pub mark: u32,
    /// The address of `bind()`.
    pub bound_address: Option<IpAddr>,
    /// What `setsockopt()` was last asked to bind the socket to.
    pub requested: Option<Requested>,
    /// Who owns the socket.
    pub owner: Option<Owner>,
    /// Of a subflow of Multipath TCP that the kernel made, how.
    pub subflow: Option<Subflow>,
    /// It is no packet, but a group that the process was to join.
    pub join: bool,
    /// Whether the hooks saw the socket made: what they did not see of it then did not happen.
    pub born: bool,
}

/// What is kept of an IP packet's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The source port, of protocols that have ports.
    pub source_port: Option<u16>,
    /// The destination port, likewise.
    pub destination_port: Option<u16>,
    /// The IP protocol.
    pub protocol: u8,
    /// The type of service, or the traffic class.
    pub tos: u8,
}

/// How the kernel made a subflow of Multipath TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subflow {
    /// By an endpoint with `dev`, which is not the device of its connection.
    ByDevice,
    /// To another address of the peer, which it announced.
    Announced,
    /// By another endpoint, or since the peer opened it.
    Other,
}

/// A device that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// By name (`SO_BINDTODEVICE`).
    Name(String),
    /// By index (`SO_BINDTOIFINDEX`).
    Index(IfIndex),
    /// None: the socket was to be unbound.
    Nothing,
}

/// The process that owns a socket, as the hooks knew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number in the PID namespace of `/proc`; none where it is not in there, or where only the socket's user is known.
    pub pid: Option<u32>,
    /// When it was started, in nanoseconds of `CLOCK_BOOTTIME`; zero when unknown.
    pub started: u64,
    /// Its name: untrusted.
    pub comm: String,
    /// The user.
    pub uid: u32,
    /// The id of its cgroup.
    pub cgroup: u64,
}

/// Decodes a finding's key and its first packet. Nothing where the kernel's numbers mean nothing here, which would be a
/// mistake of pinif's own.
pub fn decode(key: &FindingKey, sighting: &Sighting) -> Option<Sighted> {
    let kind = Kind::from_number(key.kind)?;
    let origin = Origin::from_number(sighting.origin);
    Some(Sighted {
        kind,
        severity: Severity::from_number(key.severity)?,
        dropped: key.dropped != 0,
        also: KindSet(sighting.also)
            .iter()
            .filter(|&other| other != kind)
            .collect(),
        origin,
        subject: key.subject.decode()?,
        netns: key.netns,
        egress: key.egress,
        bound: interface(key.bound),
        previous_bound: interface(sighting.previous_bound).filter(|&before| before != key.bound),
        arrived: interface(sighting.arrived),
        source_owner: interface(sighting.source_owner),
        headers: headers(sighting),
        time: sighting.time,
        socket: Some(sighting.cookie).filter(|cookie| cookie.0 != 0),
        socket_inode: Some(sighting.socket_inode).filter(|&inode| inode != 0),
        family: i32::from(sighting.family),
        rule: Some(sighting.rule)
            .filter(|&rule| rule != NO_RULE)
            .map(usize::from),
        generation: sighting.generation,
        mark: sighting.mark,
        bound_address: (sighting.flags & flag::BOUND_ADDRESS != 0)
            .then(|| sighting.bound_address.ip()),
        requested: requested(sighting),
        owner: owner(sighting, origin),
        subflow: subflow(sighting.flags),
        join: sighting.flags & flag::JOIN != 0,
        born: sighting.flags & flag::BORN != 0,
    })
}

fn interface(index: IfIndex) -> Option<IfIndex> {
    Some(index).filter(|index| index.is_some())
}

fn headers(sighting: &Sighting) -> Option<Headers> {
    if sighting.destination.0 == [0; 16] && sighting.source.0 == [0; 16] {
        return None;
    }
    let ports = protocol::has_ports(sighting.protocol)
        && (sighting.source_port, sighting.destination_port) != (0, 0);
    Some(Headers {
        source: sighting.source.ip(),
        destination: sighting.destination.ip(),
        source_port: ports.then_some(sighting.source_port),
        destination_port: ports.then_some(sighting.destination_port),
        protocol: sighting.protocol,
        tos: sighting.tos,
    })
}

fn subflow(flags: u32) -> Option<Subflow> {
    let has = |flag| flags & flag != 0;
    has(flag::SUBFLOW).then(|| {
        if has(flag::BOUND_ELSEWHERE) {
            Subflow::ByDevice
        } else if has(flag::ANNOUNCED) {
            Subflow::Announced
        } else {
            Subflow::Other
        }
    })
}

fn requested(sighting: &Sighting) -> Option<Requested> {
    if sighting.flags & flag::REQUESTED == 0 {
        return None;
    }
    let device = &sighting.requested_device;
    if sighting.flags & flag::BY_INDEX != 0 {
        return Some(match device.index() {
            IfIndex::NONE => Requested::Nothing,
            index => Requested::Index(index),
        });
    }
    let name = text(&device.0);
    Some(if name.is_empty() {
        Requested::Nothing
    } else {
        Requested::Name(name)
    })
}

fn owner(sighting: &Sighting, origin: Origin) -> Option<Owner> {
    let owner = &sighting.owner;
    let known = owner.is_known() || origin == Origin::Process;
    (known && owner.uid != NO_USER).then(|| Owner::decode(owner))
}

impl Sighted {
    /// Where a packet came in that this host passes on for others; none of its own.
    pub fn forwarded_from(&self) -> Option<IfIndex> {
        self.arrived.filter(|_| self.origin == Origin::None)
    }
}

impl Owner {
    /// Which process it is, as `/proc` has it; none where it is not in there.
    pub fn id(&self) -> Option<ProcessId> {
        Some(ProcessId {
            pid: self.pid?,
            started: self.started,
        })
    }

    /// Decodes what the programs wrote.
    pub fn decode(owner: &intent::Owner) -> Self {
        Self {
            pid: Some(owner.pid).filter(|&pid| pid != 0),
            started: owner.started,
            comm: text(&owner.comm.0),
            uid: owner.uid,
            cgroup: owner.cgroup,
        }
    }
}
