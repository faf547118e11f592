//! The programs, their maps and the sockets in small: what the fast path looks up and what is cached, by the functions that
//! the programs call.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    super::host::{Host, Sent},
    step::{Path, Step},
};
use crate::{
    intent::{SocketRecord, flag},
    key::{IfIndex, NetNsCookie},
    packet::Packet,
    policy::{
        Demand, InForce, flags,
        tests::rules::{SLOT, Sender},
    },
    sighting::Origin,
    verdict::{ALLOWED, Decision},
    verdict_cache::{
        CacheInputs, CachedVerdict, Digests, FlowCache, FlowKey, Keys, Outcome, PacketPath,
        SocketFacts,
    },
};

pub(super) const NETNS: NetNsCookie = NetNsCookie(7);
/// What the kernel has random numbers for.
const SECRET: u64 = 0x5ec2_e700;
const OF_PROCESSES: u64 = 1;

/// A socket as the kernel has it, beside its record.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) sender: Sender,
    pub(super) bound: IfIndex,
    pub(super) facts: SocketFacts,
    pub(super) names_interface: bool,
    pub(super) record: SocketRecord,
}

/// What a packet is counted under, with its verdict.
type Cell = (Origin, IfIndex, IfIndex, IfIndex, IfIndex, u8);

/// How often each way to a verdict was taken.
#[derive(Debug, Default)]
pub(super) struct Taken(pub(super) BTreeMap<&'static str, u32>);

impl Taken {
    fn count(&mut self, way: &'static str) {
        *self.0.entry(way).or_default() += 1;
    }
}

/// The programs and their maps, in small.
pub(super) struct Kernel {
    host: Host,
    in_force: InForce,
    sockets: Vec<Socket>,
    flows: Flows,
    /// The flow that leaks, and what was decided of it.
    steady: Option<(u64, Decision, usize)>,
    cells: BTreeMap<Cell, u32>,
    salts: u64,
    last: Step,
    pub(super) taken: Taken,
}

#[derive(Default)]
struct Flows(RefCell<BTreeMap<u32, u64>>);

impl FlowCache for Flows {
    fn entry(&self, place: u32) -> u64 {
        self.0.borrow().get(&place).copied().unwrap_or(0)
    }

    fn put(&self, place: u32, entry: u64) {
        self.0.borrow_mut().insert(place, entry);
    }
}

impl Kernel {
    pub(super) fn new(host: Host, sockets: Vec<Socket>) -> Self {
        let dimensions = host.policy.active().dimensions;
        Self {
            host,
            in_force: InForce::default().next(SLOT, dimensions),
            sockets,
            flows: Flows::default(),
            steady: None,
            cells: BTreeMap::new(),
            salts: 0,
            last: Step::Again,
            taken: Taken::default(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let step = match (step, &self.last) {
            (Step::Again, last) => last.clone(),
            (
                Step::Other { socket },
                Step::Send {
                    packet, own, path, ..
                },
            ) => Step::Send {
                socket: *socket,
                packet: *packet,
                own: *own,
                path: *path,
            },
            (Step::Varied(variation), last) => {
                let mut varied = last.clone();
                if let Step::Send { packet, path, .. } | Step::Forward { packet, path, .. } =
                    &mut varied
                {
                    variation.apply(packet, path);
                }
                varied
            }
            (other, _) => other.clone(),
        };
        if matches!(step, Step::Send { .. } | Step::Forward { .. }) {
            self.last = step.clone();
        }
        match step {
            Step::Again | Step::Other { .. } | Step::Varied(_) => {}
            Step::Send {
                socket,
                packet,
                own,
                path,
            } => self.send(socket % self.sockets.len(), packet, own, path),
            Step::Forward {
                packet,
                arrived,
                path,
            } => self.forward(&packet, arrived, path),
            Step::Policy(policy) => {
                let dimensions = policy.active().dimensions;
                self.host.policy = policy;
                self.in_force = self.in_force.next(SLOT, dimensions);
            }
            Step::Host(host) => {
                let policy = std::mem::take(&mut self.host.policy);
                self.host = Host { policy, ..host };
                self.in_force = self.in_force.next_of_same();
            }
            Step::Device { socket, bound } => self.socket(socket).bound = bound,
            Step::Bind { socket, address } => {
                let record = &mut self.socket(socket).record;
                record.bound_address = address;
                record.flags |= flag::BOUND_ADDRESS;
                record.changed();
            }
            Step::Owner { socket, sender } => {
                let socket = self.socket(socket);
                socket.sender = Sender {
                    user: socket.sender.user,
                    ..sender
                };
                socket.record.changed();
            }
            Step::User { socket, user } => self.socket(socket).sender.user = Some(user),
        }
    }

    fn socket(&mut self, index: usize) -> &mut Socket {
        let count = self.sockets.len();
        &mut self.sockets[index % count]
    }

    fn send(&mut self, index: usize, mut packet: Packet, own: bool, path: Path) {
        let socket = &mut self.sockets[index];
        if own {
            packet.protocol = socket.facts.protocol;
            packet.source_port = socket.facts.port;
        }
        self.host.sender = socket.sender;
        let sent = Sent {
            origin: Origin::Process,
            bound: socket.bound,
            names_interface: socket.names_interface,
            bound_address: socket
                .record
                .has(flag::BOUND_ADDRESS)
                .then_some(socket.record.bound_address),
            packet: Some(packet),
            egress: path.egress,
            heard: IfIndex::NONE,
        };
        if socket.record.salt == 0 {
            self.salts += 1;
            socket.record.salt = self.salts << 32 | 1;
        }
        let way = PacketPath {
            above: path.above,
            from: socket.bound,
            egress: path.egress,
        };
        let user = socket.sender.user.unwrap_or_default();
        let flow = flow_key(&packet);
        let of_socket = CacheInputs::of_socket(&socket.record, flow, self.in_force, &way, || user);
        let own = match of_socket.find_in_record(&socket.record) {
            Ok(found) => return self.check(&sent, path, found, "record"),
            Err(own) => own,
        };
        if let Some((digest, decision, of)) = self.steady
            && digest == own.whole
        {
            assert_eq!((self.host.judge(&sent), index), (decision, of));
            return self.taken.count("steady");
        }
        let inputs = CacheInputs {
            bound_address: socket.record.address_of_bind(),
            ..of_socket
        };
        let mut keys = Keys {
            inputs,
            own,
            shared: Digests::NONE,
        };
        let salt = SECRET ^ OF_PROCESSES;
        if let Some(shared) = inputs.of_any_socket(salt, &socket.facts, self.in_force) {
            match shared.find_in_cache(&self.flows) {
                Ok((found, reach)) => {
                    keys.put_in_record(&mut socket.record, found, reach);
                    return self.check(&sent, path, found, "shared");
                }
                Err(shared) => keys.shared = shared,
            }
        }
        self.decide(&sent, path, &keys, Some(index));
    }

    /// A packet without socket. One that has the local end of a socket is taken for the copy of what that sent.
    fn forward(&mut self, packet: &Packet, arrived: IfIndex, path: Path) {
        let original = if self.is_from_here(packet) {
            let facts = (packet.protocol, packet.source_port);
            let mut sockets = self.sockets.iter();
            sockets.find(|socket| (socket.facts.protocol, socket.facts.port) == facts)
        } else {
            None
        };
        let bound = original.map_or(IfIndex::NONE, |socket| socket.bound);
        self.host.sender = original.map(|socket| socket.sender).unwrap_or_default();
        let sent = Sent {
            origin: Origin::None,
            bound,
            names_interface: false,
            bound_address: None,
            packet: Some(*packet),
            egress: path.egress,
            heard: IfIndex::NONE,
        };
        let way = PacketPath {
            above: path.above,
            from: arrived,
            egress: path.egress,
        };
        let inputs = CacheInputs::of_forwarded(SECRET, flow_key(packet), self.in_force, &way);
        match inputs.find_in_cache(&self.flows) {
            Ok((found, _)) => self.check(&sent, path, found, "forwarded"),
            Err(shared) => {
                let keys = Keys {
                    inputs,
                    own: Digests::NONE,
                    shared,
                };
                self.decide(&sent, path, &keys, None);
            }
        }
    }

    /// A cached verdict is that the packet is contained, or allowed, and to be counted where it is decided to be.
    fn check(&mut self, sent: &Sent, path: Path, found: CachedVerdict, way: &'static str) {
        let decision = self.host.judge(sent);
        assert_eq!(decision.finding(), None, "{sent:?} by {way}");
        let cell = self.cell(sent, path, &decision);
        assert_eq!(found.cell, cell, "{sent:?} by {way}");
        assert_eq!(found.marked, self.about(sent.egress) & flags::STACKED != 0);
        self.taken.count(way);
        if decision.kind == ALLOWED {
            self.taken.count("allowed");
        }
    }

    fn is_from_here(&self, packet: &Packet) -> bool {
        self.host.holders.contains_key(&packet.source)
    }

    fn decide(&mut self, sent: &Sent, path: Path, keys: &Keys, socket: Option<usize>) {
        let decision = self.host.judge(sent);
        let cell = self.cell(sent, path, &decision);
        let about = self.about(sent.egress);
        let is_from_here = sent.packet.is_some_and(|packet| self.is_from_here(&packet));
        let active = self.host.policy.active();
        let kind = decision.kind;
        let coverage = keys.inputs.covers(&sent.traffic());
        match keys.outcome(coverage, kind, || is_from_here, &active, || about, cell) {
            Outcome::Forgotten => self.taken.count("forgotten"),
            Outcome::Cached(verdict, reach) => {
                if let Some(socket) = socket {
                    keys.put_in_record(&mut self.sockets[socket].record, verdict, reach);
                }
                keys.put_in_cache(&self.flows, verdict, reach);
                self.taken.count("cached");
            }
            Outcome::Steady(digest) => {
                let socket = socket.expect("only a socket's flow is steady");
                self.steady = Some((digest, decision, socket));
            }
        }
    }

    /// Whether it was counted above follows from that interface, and from whose packet it is (`layers::pass`).
    fn cell(&mut self, sent: &Sent, path: Path, decision: &Decision) -> u32 {
        let home = if sent.bound.is_some() {
            sent.bound
        } else {
            decision.source_owner
        };
        let cell = (
            sent.origin,
            sent.bound,
            sent.egress,
            path.above,
            home,
            decision.kind,
        );
        let next = self.cells.len() as u32 + 1;
        *self.cells.entry(cell).or_insert(next)
    }

    /// What userspace publishes of an interface (`kernel/publish.rs`).
    fn about(&self, interface: IfIndex) -> u64 {
        let zones = self.host.zones.get(&interface).copied().unwrap_or_default();
        let rules = &self.host.policy.rules;
        let mut demands = rules.iter().filter_map(|rule| rule.demand);
        let is_kept =
            |demand: Demand| demand.only_via.is_empty() || demand.only_via.intersects(zones);
        let keeps = if !demands.clone().all(is_kept) {
            0
        } else if demands.any(|demand| demand.pinned != 0) {
            flags::KEEPS_PINNED
        } else {
            flags::KEEPS_PINNED | flags::KEEPS_UNPINNED
        };
        let mut lower_devices = self.host.lower_devices.iter();
        let is_stacked = lower_devices.any(|&(upper, _)| upper == interface);
        keeps | if is_stacked { flags::STACKED } else { 0 }
    }
}

/// The key that the fast path reads at a packet's headers.
fn flow_key(packet: &Packet) -> FlowKey {
    let mut ports = [0; 4];
    ports[..2].copy_from_slice(&packet.source_port.to_be_bytes());
    ports[2..].copy_from_slice(&packet.destination_port.to_be_bytes());
    FlowKey {
        source: packet.source.words(),
        destination: packet.destination.words(),
        ports: u32::from_ne_bytes(ports),
        protocol: packet.protocol.into(),
    }
}
