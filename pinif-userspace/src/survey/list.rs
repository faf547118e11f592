//! Reading every socket of some namespaces.

use std::{cmp::Ordering, collections::HashSet};

use anyhow::{Context as _, Result};
use pinif_ebpf::key::SocketCookie;

use super::{
    device::name,
    leaves::Leaves,
    owned::{Owned, Owners, TIME_WAIT, own},
    risk::{self, Risk},
    stuck,
};
use crate::{
    findings::{
        flow::{endpoint_text, protocol_text},
        process::Process,
    },
    host::{
        neighbours::SilentNeighbours,
        netns::NetNs,
        network::Network,
        routes::RouteOracle,
        sockets::{self, DiagSocket, PacketSocket},
    },
    text::words::counted,
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
    /// Whether an option of it may name an interface that is not known.
    pub may_name_an_interface: bool,
}

/// All sockets of some namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Those that the kernel lists; those at the greatest risk first.
    pub sockets: Vec<SurveyedSocket>,
    /// How many raw sockets it does not list.
    pub unlisted_raw: usize,
}

/// Reads all sockets of some namespaces; those at the greatest risk first.
///
/// # Errors
///
/// Where a namespace may not be entered, or the kernel refuses `sock_diag`.
pub fn survey(namespaces: &[NetNs]) -> Result<Survey> {
    Found::list(namespaces)?.survey()
}

/// The sockets of some namespaces, of which nothing else was asked yet.
pub struct Found<'n> {
    of_each: Vec<(&'n NetNs, Vec<DiagSocket>, Vec<PacketSocket>)>,
    unlisted_raw: usize,
}

impl<'n> Found<'n> {
    /// Lists them.
    ///
    /// # Errors
    ///
    /// As of [`survey`].
    pub fn list(namespaces: &'n [NetNs]) -> Result<Self> {
        let mut of_each = Vec::new();
        let mut unlisted_raw = 0;
        for netns in namespaces {
            let refused = || {
                format!(
                    "the sockets of the network namespace {} cannot be read",
                    netns.name
                )
            };
            let mut inet = sockets::list(netns).with_context(refused)?;
            inet.retain(|socket| socket.state != TIME_WAIT);
            let packets = sockets::packets(netns).with_context(refused)?;
            unlisted_raw += sockets::unlisted_raw(netns).with_context(refused)?;
            of_each.push((netns, inet, packets));
        }
        Ok(Self {
            of_each,
            unlisted_raw,
        })
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        let numbers = self.of_each.iter();
        numbers
            .map(|(_, inet, packets)| inet.len() + packets.len())
            .sum()
    }

    /// Asks whose they are, and where they would leave; those at the greatest risk first.
    ///
    /// # Errors
    ///
    /// As of [`survey`].
    pub fn survey(self) -> Result<Survey> {
        let inodes: HashSet<u64> = self
            .of_each
            .iter()
            .flat_map(|(_, inet, packets)| {
                let inet = inet.iter().map(|socket| socket.inode);
                inet.chain(packets.iter().map(|socket| socket.inode))
            })
            .filter(|inode| *inode != 0)
            .collect();
        let mut owners = Owners::of(&inodes);
        let mut all = Vec::new();
        for (netns, inet, packets) in self.of_each {
            let mut scene = Scene::of(netns)?;
            let living = own(inet, &mut owners);
            all.extend(living.into_iter().map(|owned| scene.surveyed(owned)));
            all.extend(
                packets
                    .iter()
                    .map(|socket| scene.surveyed_packet(socket, owners.have(socket.inode))),
            );
        }
        all.sort_by(SurveyedSocket::order);
        Ok(Survey {
            sockets: all,
            unlisted_raw: self.unlisted_raw,
        })
    }
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
    neighbours: SilentNeighbours,
    oracle: RouteOracle,
}

impl<'a> Scene<'a> {
    fn of(netns: &'a NetNs) -> Result<Self> {
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
        Ok(Self {
            netns,
            network,
            // Without them, it is only not known who does not answer.
            neighbours: SilentNeighbours::read(netns).unwrap_or_default(),
            oracle,
        })
    }

    fn surveyed(&mut self, owned: Owned) -> SurveyedSocket {
        let may_name_an_interface = owned.may_name_an_interface();
        let socket = &owned.socket;
        let mut leaves = Leaves::of(socket, &self.network, &mut self.oracle);
        let (mut risk, mut why) = risk::of(socket, &leaves, &self.network);
        if risk == Risk::Pinned {
            if let Some(reason) = stuck::at_its_device(socket, &self.network) {
                leaves = Leaves::None {
                    why: reason.clone(),
                };
                (risk, why) = (Risk::Stuck, reason);
            } else if let Some(reason) =
                stuck::at_its_neighbour(socket, &self.network, &self.neighbours, &mut self.oracle)
            {
                (risk, why) = (Risk::Stuck, reason);
            }
        }
        if may_name_an_interface {
            why.push_str("; whether an option of it names an interface is not known");
        }
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
            leaves,
            risk,
            why,
            may_name_an_interface,
            processes: owned.processes,
        }
    }

    fn surveyed_packet(&self, socket: &PacketSocket, processes: Vec<Process>) -> SurveyedSocket {
        let device = socket
            .device
            .map(|device| name(device, &self.network.links));
        // It is bound to no device (`sk_bound_dev_if`), as the audit's matrix has it: its address names an interface, if it has one.
        let (leaves, why) = match device {
            Some(interface) => (
                Leaves::Via {
                    interface: interface.clone(),
                    route: None,
                    by: None,
                    default: false,
                },
                format!("its address (bind()) names {interface}, and a message may name another"),
            ),
            None => (
                Leaves::Any { default: None },
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
            bound_device: None,
            uid: None,
            processes,
            leaves,
            risk: Risk::Unpinned,
            why,
            may_name_an_interface: false,
        }
    }
}

/// All states that a socket is shown in.
pub const STATES: [&str; 12] = [
    "established",
    "syn-sent",
    "syn-received",
    "fin-wait-1",
    "fin-wait-2",
    "close-wait",
    "last-ack",
    "listen",
    "closing",
    "closed",
    "connected",
    "unconnected",
];

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

/// That there are raw sockets which the kernel does not list: a sentence without its end.
pub fn unlisted(raw: usize) -> String {
    let are = if raw == 1 { "is" } else { "are" };
    let sockets = counted(raw as u64, "raw socket");
    format!("{sockets} {are} not listed: this kernel has no CONFIG_INET_RAW_DIAG")
}
