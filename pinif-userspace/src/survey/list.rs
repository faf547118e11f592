//! Reading every socket of some namespaces.

use std::{cmp::Ordering, collections::HashSet};

use anyhow::{Context as _, Result};
use pinif_ebpf::key::SocketCookie;

use super::{
    device::name,
    leaves::Leaves,
    owned::{Owners, TIME_WAIT},
    risk::{self, Risk},
};
use crate::{
    findings::{
        flow::{endpoint_text, protocol_text},
        process::Process,
    },
    host::{
        netns::NetNs,
        network::Network,
        routes::RouteOracle,
        sockets::{self, DiagSocket, PacketSocket},
    },
};

/// `TCP_LISTEN`.
const LISTEN: u8 = 10;

/// A socket, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedSocket {
    /// Its cookie.
    pub cookie: SocketCookie,
    /// The namespace's name.
    pub netns: String,
    /// Its protocol: `tcp`, `udp`, a number, or `packet`. Raw sockets have `raw ` before it.
    pub protocol: String,
    /// What it is doing: `listen`, `established`, … for TCP, and `connected` or `unconnected` for others.
    pub state: &'static str,
    /// The address and port that it is bound to; none of a packet socket.
    pub local: Option<String>,
    /// What it is connected to.
    pub remote: Option<String>,
    /// The device that it is bound to, by its name.
    pub bound_device: Option<String>,
    /// The user that made it.
    pub uid: Option<u32>,
    /// The processes that have it, as far as they may be looked into.
    pub processes: Vec<Process>,
    /// Where it would leave.
    pub leaves: Leaves,
    /// How that stands.
    pub risk: Risk,
    /// Why, in a sentence.
    pub why: String,
}

/// Reads all sockets of some namespaces; those at the greatest risk first.
///
/// # Errors
///
/// Where a namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn survey(namespaces: &[NetNs]) -> Result<Vec<SurveyedSocket>> {
    let mut found = Vec::new();
    for netns in namespaces {
        let refused = || {
            format!(
                "the sockets of the network namespace {} cannot be read",
                netns.name
            )
        };
        let inet = sockets::list(netns).with_context(refused)?;
        let packets = sockets::packets(netns).with_context(refused)?;
        found.push((netns, inet, packets));
    }
    let inodes: HashSet<u64> = found
        .iter()
        .flat_map(|(_, inet, packets)| {
            let inet = inet.iter().map(|socket| socket.inode);
            inet.chain(packets.iter().map(|socket| socket.inode))
        })
        .filter(|inode| *inode != 0)
        .collect();
    let mut owners = Owners::of(&inodes);
    let mut all = Vec::new();
    for (netns, inet, packets) in found {
        let network = Network::read(netns).with_context(|| {
            format!(
                "the interfaces of the network namespace {} cannot be read",
                netns.name
            )
        })?;
        let oracle = RouteOracle::open(netns).with_context(|| {
            format!(
                "the routes of the network namespace {} cannot be asked for",
                netns.name
            )
        })?;
        let mut scene = Scene {
            netns,
            network,
            oracle,
        };
        let living = inet.iter().filter(|socket| socket.state != TIME_WAIT);
        all.extend(living.map(|socket| scene.surveyed(socket, owners.have(socket.inode))));
        all.extend(
            packets
                .iter()
                .map(|socket| scene.surveyed_packet(socket, owners.have(socket.inode))),
        );
    }
    all.sort_by(SurveyedSocket::order);
    Ok(all)
}

impl SurveyedSocket {
    /// The greatest risk first; then by namespace, process and addresses, so that the order is the same each time.
    fn order(&self, other: &Self) -> Ordering {
        let process = |socket: &Self| {
            let first = socket.processes.first();
            first.map(|process| (process.comm.clone(), process.pid))
        };
        let ends = |socket: &Self| {
            (
                socket.protocol.clone(),
                socket.local.clone(),
                socket.remote.clone(),
            )
        };
        (self.risk.cmp(&other.risk))
            .then_with(|| self.netns.cmp(&other.netns))
            .then_with(|| process(self).cmp(&process(other)))
            .then_with(|| ends(self).cmp(&ends(other)))
            .then_with(|| self.cookie.cmp(&other.cookie))
    }
}

/// What sockets of one namespace are looked at in.
struct Scene<'a> {
    netns: &'a NetNs,
    network: Network,
    oracle: RouteOracle,
}

impl Scene<'_> {
    fn surveyed(&mut self, socket: &DiagSocket, processes: Vec<Process>) -> SurveyedSocket {
        let leaves = Leaves::of(socket, &self.network.links, &mut self.oracle);
        let (risk, why) = risk::of(socket, &leaves, &self.network);
        let protocol = protocol_text(socket.protocol);
        let connected = !socket.remote.ip().is_unspecified();
        let end = |address: std::net::SocketAddr| {
            endpoint_text(address.ip(), (!socket.raw).then_some(address.port()))
        };
        SurveyedSocket {
            cookie: socket.cookie,
            netns: self.netns.name.clone(),
            protocol: if socket.raw {
                format!("raw {protocol}")
            } else {
                protocol
            },
            state: state(socket, connected),
            local: Some(end(socket.local)),
            remote: connected.then(|| end(socket.remote)),
            bound_device: socket
                .device
                .map(|device| name(device, &self.network.links)),
            uid: Some(socket.uid),
            processes,
            leaves,
            risk,
            why,
        }
    }

    fn surveyed_packet(&self, socket: &PacketSocket, processes: Vec<Process>) -> SurveyedSocket {
        let device = socket
            .device
            .map(|device| name(device, &self.network.links));
        let (leaves, risk, why) = match &device {
            Some(device) => (
                Leaves::Via {
                    interface: device.clone(),
                    route: None,
                    default: false,
                },
                Risk::Pinned,
                format!("it is bound to {device}, unless a message names another"),
            ),
            None => (
                Leaves::Any { default: None },
                Risk::Unpinned,
                "each message names its interface".to_owned(),
            ),
        };
        SurveyedSocket {
            cookie: socket.cookie,
            netns: self.netns.name.clone(),
            protocol: "packet".to_owned(),
            state: "unconnected",
            local: None,
            remote: None,
            bound_device: device,
            uid: None,
            processes,
            leaves,
            risk,
            why,
        }
    }
}

/// The state of a TCP socket (net/tcp_states.h); whether another is connected.
fn state(socket: &DiagSocket, connected: bool) -> &'static str {
    if i32::from(socket.protocol) != libc::IPPROTO_TCP || socket.raw {
        return if connected {
            "connected"
        } else {
            "unconnected"
        };
    }
    match socket.state {
        1 => "established",
        2 => "syn-sent",
        3 | 12 => "syn-received",
        4 => "fin-wait-1",
        5 => "fin-wait-2",
        8 => "close-wait",
        9 => "last-ack",
        LISTEN => "listen",
        11 => "closing",
        _ => "closed",
    }
}
