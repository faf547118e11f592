//! Sockets that were closed, of which no finding says anything: they were contained. Where they went, nobody knows; the address that
//! each has sent from is known, and by that routing decides.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    ops::ControlFlow,
};

use pinif_ebpf::{
    intent::Flow,
    key::{Endpoint, IfIndex, SocketCookie},
    packet::protocol,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seen::{MOST, any, family};
use crate::{
    findings::{enrich, flow::protocol_text, process::Process},
    host::{links::Links, sockets::DiagSocket},
    survey::{CLOSED, Owned},
};

/// The protocols whose sockets are looked at.
const PROTOCOLS: [u8; 2] = [protocol::TCP, protocol::UDP];

/// Of all that were closed, one of each program, protocol, device and address that it sent from; at most [`MOST`].
#[derive(Debug, Default)]
pub struct Distinct {
    known: HashSet<Sent>,
    all: Vec<(Endpoint, Flow)>,
}

/// What one is known by: who sent, and how.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sent {
    executable: (u32, u64),
    comm: [u8; 16],
    uid: u32,
    cgroup: u64,
    bound: IfIndex,
    address: IpAddr,
    protocol: u8,
}

/// A socket that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    cookie: SocketCookie,
    /// That of IP: of TCP or UDP.
    protocol: u8,
    /// The address that it sent from.
    source: IpAddr,
    device: Option<IfIndex>,
    process: Process,
}

/// A socket that was closed, as the control socket has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedLine {
    /// The socket's cookie, as `ss -e` shows it of those that are there.
    pub socket_cookie: u64,
    /// The transport protocol: `tcp` or `udp`.
    pub protocol: String,
    /// The address that it sent from.
    pub source: IpAddr,
    /// The interface that it was bound to; null where it was bound to none.
    pub bound_device: Option<String>,
    /// Who had it.
    pub process: Process,
}

impl Distinct {
    /// Takes one more. No more are wanted once there are [`MOST`].
    pub fn add(&mut self, endpoint: Endpoint, flow: Flow) -> ControlFlow<()> {
        let (owner, address) = (&flow.owner, endpoint.address.ip());
        let sent = Sent {
            executable: (owner.executable_device, owner.executable_inode),
            comm: owner.comm.0,
            uid: owner.uid,
            cgroup: owner.cgroup,
            bound: flow.bound,
            address,
            protocol: endpoint.protocol,
        };
        if PROTOCOLS.contains(&endpoint.protocol)
            && !address.is_unspecified()
            && self.known.insert(sent)
        {
            self.all.push((endpoint, flow));
        }
        match self.all.len() {
            MOST => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Those of which it is known who had them, as `/proc` has them or as the kernel recorded them.
    pub fn sockets(self) -> Vec<Closed> {
        let closed = |(endpoint, flow): (Endpoint, Flow)| {
            Some(Closed {
                cookie: flow.cookie,
                protocol: endpoint.protocol,
                source: endpoint.address.ip(),
                device: Some(flow.bound).filter(|bound| bound.is_some()),
                process: enrich::owner(&flow.owner)?,
            })
        };
        self.all.into_iter().filter_map(closed).collect()
    }
}

impl Closed {
    /// As its program would make it again.
    pub fn owned(self) -> Owned {
        let unknown = SocketAddr::new(any(self.source), 0);
        Owned {
            socket: DiagSocket {
                cookie: self.cookie,
                inode: 0,
                uid: self.process.uid,
                family: family(self.source),
                protocol: self.protocol,
                raw: false,
                local: unknown,
                remote: unknown,
                device: self.device,
                state: CLOSED,
                mark: 0,
                cgroup: None,
                named: None,
            },
            processes: vec![self.process],
            sent_from: Some(self.source),
        }
    }

    /// For the control socket, of a namespace with these links. None of one that was bound to an interface that is gone: its program
    /// can make none like it.
    pub fn line(self, links: &Links) -> Option<ClosedLine> {
        let bound_device = match self.device {
            Some(device) => Some(links.get(device)?.name.clone()),
            None => None,
        };
        Some(ClosedLine {
            socket_cookie: self.cookie.0,
            protocol: protocol_text(self.protocol),
            source: self.source,
            bound_device,
            process: self.process,
        })
    }

    /// What another auditor reports of a namespace with these links; nothing of what is bound to an interface that is gone, and of
    /// other protocols.
    pub fn of_line(line: ClosedLine, links: &Links) -> Option<Self> {
        let mut protocols = PROTOCOLS.into_iter();
        let device = match line.bound_device {
            Some(name) => Some(links.by_name(&name)?.index),
            None => None,
        };
        Some(Self {
            cookie: SocketCookie(line.socket_cookie),
            protocol: protocols.find(|&number| protocol_text(number) == line.protocol)?,
            source: line.source,
            device,
            process: line.process,
        })
    }
}
