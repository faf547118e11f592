//! The way of a sender's packets over the card's devices, down to the cables, and what becomes of them on each.

use super::layers::carries;
use super::verdict::{Known, Subject, broken_by_arrival, source, subject, verdict};
use super::{ALLOWED, Expected, Key};
use crate::random::topology::{
    DISCARD, From, How, Id, Kind, Protocol, Sender, State, Tap, Target, Topology,
};

/// All of a sender's packets: they are of the same class.
struct Walk<'a> {
    topology: &'a Topology,
    sender: &'a Sender,
    /// The device whose address they have.
    source: Option<Id>,
    count: u64,
    enforced: bool,
    expected: Expected,
}

/// A packet that is given to a device.
#[derive(Clone, Copy)]
struct Packet {
    /// It has its socket.
    has_socket: bool,
    /// The device that it came in by: `skb->skb_iif`, which tc's copies have of the device that they were taken from (`tcf_mirred_to_dev`).
    came_by: Option<Id>,
    /// It was counted on a device above this one.
    is_counted: bool,
    /// An IFB gave it back: the next device's egress hook of nftables is passed by (`skb->nf_skip_egress`).
    skips_nft: bool,
}

pub fn walk(topology: &Topology, sender: &Sender, by: Id, count: u64, enforced: bool) -> Expected {
    let mut walk = Walk {
        topology,
        sender,
        source: source(topology, sender, by),
        count,
        enforced,
        expected: Expected::default(),
    };
    let came_by = match sender.from {
        From::Card => None,
        From::Container => topology.container(),
        From::Far(leg) => Some(leg),
    };
    if let Some(device) = came_by {
        walk.arrive(device);
    }
    match sender.to {
        Target::Local(leg) if came_by.is_some() => walk.receive(leg),
        Target::Local(_) => walk.loop_back(),
        _ => walk.leave(
            by,
            Packet {
                has_socket: came_by.is_none(),
                came_by,
                is_counted: false,
                skips_nft: came_by.is_some_and(|device| {
                    let mut taps = topology.taps.iter();
                    taps.any(|tap| tap.on == device && tap.how == How::ShapeArriving)
                }),
            },
        ),
    }
    walk.expected
}

impl Walk<'_> {
    /// What tc does where they arrive.
    fn arrive(&mut self, device: Id) {
        // Only what is routed is translated.
        let source = self.source.take();
        for tap in self.taps(device) {
            if matches!(tap.how, How::MirrorArriving | How::ShapeArriving) {
                self.leave(tap.to, Packet::copied(device));
            }
        }
        self.source = source;
    }

    /// The card's own socket receives them, of the process that built it, unless they are kept out.
    fn receive(&mut self, leg: Id) {
        if let Some(rule) = broken_by_arrival(self.topology, leg) {
            let egress = self.topology.name(leg).to_owned();
            if self.enforced {
                let place = (None, egress.clone(), "ingress-escape, dropped".to_owned());
                self.expected.cells.insert(place, self.count);
            }
            let key = Key {
                kind: "ingress-escape",
                severity: "leak",
                rule: Some(format!("r{rule}")),
                bound: None,
                egress,
                dropped: self.enforced,
                subject: Subject::Program,
            };
            self.expected.findings.insert(key, self.count);
        }
    }

    /// To the host's own address.
    fn loop_back(&mut self) {
        let bound = self
            .sender
            .bound
            .map(|id| self.topology.name(id).to_owned());
        let place = (bound, "lo".to_owned(), "contained".to_owned());
        self.expected.cells.insert(place, self.count);
        self.expected.drivers.insert("lo".to_owned(), self.count);
        self.expected.total += self.count;
    }

    /// They are given to a device.
    fn leave(&mut self, device: Id, packet: Packet) {
        let taps = self.taps(device);
        let is_v4_datagram = self.is_datagram() && !self.sender.v6;
        for tap in &taps {
            // nftables' hook is before all others, and routing is before that.
            let is_taken = match tap.how {
                How::Dup => self.is_datagram() && !packet.skips_nft,
                How::Tee => is_v4_datagram && !packet.is_counted,
                _ => false,
            };
            if is_taken {
                let source = self.source;
                if tap.how == How::Tee && self.sender.from != From::Card {
                    // Behind it comes the translation.
                    self.source = None;
                }
                self.leave(
                    tap.to,
                    Packet {
                        has_socket: false,
                        is_counted: false,
                        ..packet
                    },
                );
                self.source = source;
            }
        }
        if !self.judge(device, packet) {
            return;
        }
        for tap in &taps {
            match tap.how {
                How::Mirror => self.leave(tap.to, Packet::copied(device)),
                How::Redirect => return self.leave(tap.to, Packet::copied(device)),
                How::Shape => self.leave(
                    tap.to,
                    Packet {
                        is_counted: true,
                        ..Packet::copied(device)
                    },
                ),
                How::MirrorArriving | How::ShapeArriving | How::Dup | How::Tee => (),
            }
        }
        if self.can_send(device) {
            let name = self.topology.name(device).to_owned();
            *self.expected.drivers.entry(name).or_default() += self.count;
            self.go_on(device, packet);
        }
    }

    /// Enters what they are on the device. Whether they leave it.
    fn judge(&mut self, device: Id, packet: Packet) -> bool {
        let (topology, sender) = (self.topology, self.sender);
        let known = self.known(packet);
        let verdict = verdict(topology, sender, known, self.source, device);
        let dropped = self.enforced && verdict.is_leak;
        if self.can_send(device) {
            let name = |id: Option<Id>| id.map(|id| topology.name(id).to_owned());
            let (bound, egress) = (name(verdict.bound), topology.name(device).to_owned());
            let other = if verdict.is_allowed {
                ALLOWED
            } else {
                "contained"
            };
            let kind = verdict.finding.map_or(other, |(kind, _)| kind);
            let suffix = if dropped { ", dropped" } else { "" };
            let place = (bound.clone(), egress.clone(), format!("{kind}{suffix}"));
            *self.expected.cells.entry(place).or_default() += self.count;
            if let Some((kind, severity)) = verdict.finding {
                let key = Key {
                    kind,
                    severity,
                    rule: verdict.rule.map(|number| format!("r{number}")),
                    bound,
                    egress,
                    dropped,
                    subject: subject(topology, sender, known),
                };
                *self.expected.findings.entry(key).or_default() += self.count;
            }
            if !dropped && !packet.is_counted {
                self.expected.total += self.count;
            }
        }
        !dropped
    }

    /// Whose they are, as far as a packet shows. Without a socket, one with the socket's local end is a copy of its packet if that
    /// left where its socket's packets leave, or came in nowhere; else it is as any that is forwarded.
    fn known(&self, packet: Packet) -> Known {
        let home = self.sender.bound.or(self.source);
        let is_of_home = |device: Id| home.is_some_and(|home| carries(self.topology, home, device));
        match (self.sender.from, packet.has_socket) {
            (From::Card, true) => Known::Socket,
            (From::Card, false) if packet.came_by.is_none_or(is_of_home) => Known::Copy,
            _ => Known::Forwarded(packet.came_by),
        }
    }

    /// What the driver of a device does with them.
    fn go_on(&mut self, device: Id, packet: Packet) {
        let below = Packet {
            is_counted: true,
            skips_nft: false,
            ..packet
        };
        match self.topology.kind(device).clone() {
            Kind::MacVlan(over) | Kind::Vlan(over) | Kind::IpVlan(over) => self.leave(over, below),
            Kind::Bridge { ports, learned } => self.switch(&ports, learned, None, below),
            // It arrives at the other end, which is a port of the bridge.
            Kind::Host(plug) => {
                let arrived = Packet {
                    has_socket: packet.has_socket && self.topology.pairs_keep_sockets,
                    came_by: Some(plug),
                    is_counted: true,
                    skips_nft: false,
                };
                if let Kind::Plug(bridge) = self.topology.kind(plug)
                    && let Kind::Bridge { ports, learned } = self.topology.kind(*bridge).clone()
                {
                    self.switch(&ports, learned, Some(plug), arrived);
                }
            }
            // The driver's counter is what left the card.
            Kind::Leg(_) | Kind::Plug(_) | Kind::Vrf(_) | Kind::Dummy | Kind::Ifb | Kind::Port => {}
        }
    }

    /// A bridge sends by the port that it knows, or by all but the one that they came by. Of those, all but the port that was put under it
    /// first get a clone, which has no socket (`br_flood`, `deliver_clone`).
    fn switch(&mut self, ports: &[Id], learned: Option<Id>, from: Option<Id>, packet: Packet) {
        let learned = learned.filter(|_| self.sender.to != Target::Group);
        let is_to = |port: Id| Some(port) != from && self.can_send(port);
        let to: Vec<_> = match learned {
            Some(port) => vec![port],
            None => ports.iter().copied().filter(|&port| is_to(port)).collect(),
        };
        for (place, &port) in to.iter().enumerate() {
            let has_socket = packet.has_socket && place == 0;
            self.leave(
                port,
                Packet {
                    has_socket,
                    ..packet
                },
            );
        }
    }

    fn taps(&self, device: Id) -> Vec<Tap> {
        let taps = self.topology.taps.iter();
        taps.filter(|tap| tap.on == device).cloned().collect()
    }

    fn is_datagram(&self) -> bool {
        const _: () = assert!(DISCARD == 9);
        self.sender.protocol == Protocol::Udp
    }

    fn can_send(&self, device: Id) -> bool {
        !matches!(
            self.topology.kind(device),
            Kind::Leg(State::Down | State::NoCarrier)
        )
    }
}

impl Packet {
    /// What tc takes from a device.
    fn copied(from: Id) -> Self {
        Self {
            has_socket: false,
            came_by: Some(from),
            is_counted: false,
            skips_nft: false,
        }
    }
}
