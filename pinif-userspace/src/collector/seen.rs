//! The sockets that the audit has seen and that are gone: a program that makes one for each request has none when somebody looks.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use pinif_ebpf::key::{IfIndex, SocketCookie};

use crate::{
    findings::{
        finding::{Finding, PacketDirection, SentBy},
        samples::Samples,
    },
    host::sockets::DiagSocket,
    survey::Owned,
};

/// No more of them than these are looked at, those of the latest findings.
pub(super) const MOST: usize = 256;

/// The sockets that a finding has seen, one for each destination: as its program would make them again, so with the address of
/// `bind()` alone, and with no mark, which nobody knows.
pub(super) fn of(
    finding: &Finding,
    bound: Option<IfIndex>,
    samples: Option<&Samples>,
) -> Vec<Owned> {
    let (Some(flow), Some(process), Some(SocketCookie(cookie))) =
        (finding.flow, &finding.process, finding.socket)
    else {
        return Vec::new();
    };
    let left = PacketDirection::of(finding.kind) == PacketDirection::Out;
    let is_ported = flow.destination.port().is_some();
    if !left || finding.origin != SentBy::Socket || !is_ported {
        return Vec::new();
    }
    let first = SocketAddr::new(
        flow.destination.address,
        flow.destination.port().unwrap_or_default(),
    );
    let protocol = finding.protocol();
    let more = samples
        .into_iter()
        .flat_map(|samples| &samples.destinations.samples);
    let more = more
        .filter(|sample| sample.protocol == protocol)
        .filter_map(|sample| sample.destination.parse::<SocketAddr>().ok());
    let mut destinations = vec![first];
    for destination in more {
        if !destinations.contains(&destination) {
            destinations.push(destination);
        }
    }
    let owned = |(number, remote): (usize, SocketAddr)| Owned {
        socket: DiagSocket {
            // Each is one thing to be foreseen, and the first is the socket itself.
            cookie: SocketCookie(cookie | (number as u64) << 56),
            inode: 0,
            uid: process.uid,
            family: if remote.is_ipv4() {
                libc::AF_INET as u8
            } else {
                libc::AF_INET6 as u8
            },
            protocol: flow.protocol,
            raw: false,
            local: SocketAddr::new(finding.bound_address.unwrap_or(any(remote.ip())), 0),
            remote,
            device: bound,
            state: 0,
            mark: 0,
            cgroup: None,
            named: None,
        },
        processes: vec![process.as_ref().clone()],
    };
    destinations.into_iter().enumerate().map(owned).collect()
}

fn any(of: IpAddr) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Those that were seen and are gone: of none that is there, nor of one that its program has to the same destination.
pub(super) fn gone(seen: Vec<Owned>, there: &[Owned]) -> Vec<Owned> {
    let cookies: HashSet<_> = there.iter().map(|owned| owned.socket.cookie).collect();
    let sends = |owned: &Owned| {
        let pid = owned.holder().and_then(|process| process.pid);
        (pid, owned.socket.protocol, owned.socket.remote)
    };
    let mut known: HashSet<_> = there.iter().map(sends).collect();
    seen.into_iter()
        .filter(|owned| !cookies.contains(&owned.socket.cookie) && known.insert(sends(owned)))
        .take(MOST)
        .collect()
}
