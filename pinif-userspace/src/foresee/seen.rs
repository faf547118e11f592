//! The sockets that an audit has seen and that are gone: a program that makes one for each request has none when somebody looks.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use pinif_ebpf::{
    key::{IfIndex, SocketCookie},
    packet::protocol,
};

use crate::{
    findings::{
        finding::{Finding, PacketDirection, SentBy},
        flow::protocol_text,
        line::FindingLine,
        process::Process,
        samples::Samples,
    },
    host::{links::Links, sockets::DiagSocket},
    survey::{CLOSED, Owned},
};

/// No more of them than these are looked at, those of the latest findings.
pub const MOST: usize = 256;

/// What a finding says of the sockets that it has seen.
struct Seen<'a> {
    /// The first packet's.
    cookie: u64,
    protocol: u8,
    /// The address of `bind()`.
    bound_address: Option<IpAddr>,
    device: Option<IfIndex>,
    process: &'a Process,
    /// Where the first packet went.
    first: SocketAddr,
    samples: Option<&'a Samples>,
}

/// The sockets that a finding has seen, one for each destination: as its program would make them again, so with the address of
/// `bind()` alone, and with no mark, which nobody knows.
pub fn of(finding: &Finding, bound: Option<IfIndex>, samples: Option<&Samples>) -> Vec<Owned> {
    let (Some(flow), Some(process), Some(SocketCookie(cookie))) =
        (finding.flow, &finding.process, finding.socket)
    else {
        return Vec::new();
    };
    let left = PacketDirection::of(finding.kind) == PacketDirection::Out;
    let Some(port) = flow.destination.port() else {
        return Vec::new();
    };
    if !left || finding.origin != SentBy::Socket {
        return Vec::new();
    }
    let seen = Seen {
        cookie,
        protocol: flow.protocol,
        bound_address: finding.bound_address,
        device: bound,
        process,
        first: SocketAddr::new(flow.destination.address, port),
        samples,
    };
    seen.sockets()
}

/// The same of a finding as another auditor's line reports it, of a namespace with these links.
pub fn of_line(finding: &FindingLine, links: &Links) -> Vec<Owned> {
    let left = finding.direction == PacketDirection::Out;
    let is_foreseen = finding.latent == Some(true);
    if !left || is_foreseen || finding.origin != SentBy::Socket {
        return Vec::new();
    }
    let mut ported = (0..=u8::MAX).filter(|&number| protocol::has_ports(number));
    let (Some(process), Some(cookie), Some(protocol), Ok(first)) = (
        &finding.process,
        finding.socket_cookie,
        ported.find(|&number| protocol_text(number) == finding.protocol),
        finding.destination.parse(),
    ) else {
        return Vec::new();
    };
    let device = match &finding.bound_device {
        // One that is gone binds nothing any more, and its socket can send nothing.
        Some(name) => match links.by_name(name) {
            Some(link) => Some(link.index),
            None => return Vec::new(),
        },
        None => None,
    };
    let bound_address = finding.bound_address.as_ref();
    let seen = Seen {
        cookie,
        protocol,
        bound_address: bound_address.and_then(|address| address.parse().ok()),
        device,
        process,
        first,
        samples: Some(&finding.samples),
    };
    seen.sockets()
}

impl Seen<'_> {
    fn sockets(&self) -> Vec<Owned> {
        let protocol = protocol_text(self.protocol);
        let samples = self.samples.into_iter();
        let more = samples
            .flat_map(|samples| &samples.destinations.samples)
            .filter(|sample| sample.protocol == protocol)
            .filter_map(|sample| sample.destination.parse::<SocketAddr>().ok());
        let mut destinations = vec![self.first];
        for destination in more {
            if !destinations.contains(&destination) {
                destinations.push(destination);
            }
        }
        let owned = |(number, remote): (usize, SocketAddr)| Owned {
            socket: DiagSocket {
                // Each is one thing to be foreseen, and the first is the socket itself.
                cookie: SocketCookie(self.cookie | (number as u64) << 56),
                inode: 0,
                uid: self.process.uid,
                family: family(remote.ip()),
                protocol: self.protocol,
                raw: false,
                local: SocketAddr::new(self.bound_address.unwrap_or(any(remote.ip())), 0),
                remote,
                device: self.device,
                state: CLOSED,
                mark: 0,
                cgroup: None,
                named: None,
            },
            processes: vec![self.process.clone()],
            sent_from: None,
        };
        destinations.into_iter().enumerate().map(owned).collect()
    }
}

pub(super) fn any(of: IpAddr) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

pub(super) fn family(of: IpAddr) -> u8 {
    match of {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// Those that were seen and are gone: of none that is there, nor of one that its program has to the same destination. Of one of which
/// nobody knows where it went, nothing of its program must be known that says more.
pub fn gone(seen: Vec<Owned>, there: &[Owned]) -> Vec<Owned> {
    let cookies: HashSet<_> = there.iter().map(|owned| owned.socket.cookie).collect();
    let sends = |owned: &Owned| {
        let pid = owned.holder().and_then(|process| process.pid);
        (pid, owned.socket.protocol, owned.socket.remote)
    };
    let program = |owned: &Owned| {
        let comm = owned.holder().map(|process| process.comm.clone());
        let socket = &owned.socket;
        (comm, socket.uid, socket.protocol, socket.device)
    };
    let says_more = |owned: &&Owned| owned.sent_from.is_none();
    let programs: HashSet<_> = seen
        .iter()
        .filter(says_more)
        .chain(there)
        .map(program)
        .collect();
    let mut known: HashSet<_> = there.iter().map(sends).collect();
    let is_new = |owned: &Owned| match owned.sent_from {
        Some(_) => !programs.contains(&program(owned)),
        None => known.insert(sends(owned)),
    };
    seen.into_iter()
        .filter(|owned| !cookies.contains(&owned.socket.cookie))
        .filter(is_new)
        .take(MOST)
        .collect()
}
