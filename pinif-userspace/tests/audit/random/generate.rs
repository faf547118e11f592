//! A random topology: the same of each seed.

mod multipath;

use pinif_lab::LinkKind;
use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::bench::{Need, pairs_keep_sockets};

use super::senders;
use super::topology::{
    BEYOND, BEYONDS, CONTAINER, Device, How, Id, Kind, Policy, Prefix, Rule, State, Tap, Topology,
    Zone,
};

/// What the kernel has.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    vlan: bool,
    ipvlan: bool,
    vrf: bool,
    dummy: bool,
    multipath: bool,
    netdev_egress: bool,
    pairs_keep_sockets: bool,
}

impl Machine {
    pub fn of_this() -> Self {
        let has = |kind: LinkKind| kind.is_available().expect("the kernel answers");
        Self {
            vlan: has(LinkKind::Vlan),
            ipvlan: has(LinkKind::IpVlan),
            // The oracle knows no VRF whose routes lead away from what is bound to one of its interfaces.
            vrf: has(LinkKind::Vrf) && Need::VrfHolds.unmet().is_none(),
            dummy: has(LinkKind::Dummy),
            multipath: Need::Mptcp.unmet().is_none(),
            netdev_egress: Need::NetdevEgress.unmet().is_none(),
            pairs_keep_sockets: pairs_keep_sockets(),
        }
    }
}

/// Makes other numbers of a seed; this one gives three of the suite's own topologies Multipath TCP, with contained subflows, with some
/// that break a rule and with some that escape a device.
const OTHERS: u64 = 37 << 32;
const EXCEPTIONS: u64 = 41 << 32;

/// Random choices.
pub struct Dice(TestRng);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len())])
    }

    /// Each of them with this chance, and one at least.
    fn some<T: Copy>(&mut self, of: &[T], percent: usize) -> Vec<T> {
        let chosen: Vec<T> = of
            .iter()
            .copied()
            .filter(|_| self.chance(percent))
            .collect();
        match chosen.is_empty() {
            true => self.pick(of).into_iter().collect(),
            false => chosen,
        }
    }
}

/// The topology of a seed, on a machine that has so much.
pub fn topology(seed: u64, machine: Machine) -> Topology {
    let mut dice = Dice::new(seed);
    let mut topology = Topology {
        devices: Vec::new(),
        default: 0,
        routes: Vec::new(),
        taps: Vec::new(),
        masquerades: dice.chance(60),
        pairs_keep_sockets: machine.pairs_keep_sockets,
        policy: Policy::default(),
        multipath: None,
        senders: Vec::new(),
    };
    devices(&mut topology, machine, &mut dice);
    routes(&mut topology, &mut dice);
    taps(&mut topology, machine, &mut dice);
    // Other numbers, so that a seed makes the same of all else with Multipath TCP and without.
    let mut others = Dice::new(seed ^ OTHERS);
    let is_multipath = machine.multipath && others.chance(40);
    if is_multipath {
        multipath::choose(&mut topology, &mut others);
    }
    if dice.chance(60) {
        topology.policy = policy(&topology, &mut dice);
    }
    if is_multipath {
        multipath::rule(&mut topology, &mut others);
    }
    // Other numbers again, likewise.
    let mut others_of_rules = Dice::new(seed ^ EXCEPTIONS);
    if !topology.policy.zones.is_empty() && others_of_rules.chance(40) {
        let exception = exception(&topology, &mut others_of_rules);
        topology.policy.rules.insert(0, exception);
    }
    topology.senders = senders::choose(&topology, &mut dice);
    if is_multipath {
        let connections = multipath::senders(&topology, &mut others);
        topology.senders.extend(connections);
    }
    topology
}

fn devices(topology: &mut Topology, machine: Machine, dice: &mut Dice) {
    let legs = 2 + dice.below(4);
    for number in 0..legs {
        // The first is as it should be: it may have the default route.
        let state = match dice.below(100) {
            _ if number == 0 => State::Up,
            0..14 => State::Down,
            14..28 => State::NoCarrier,
            _ => State::Up,
        };
        add(topology, "leg", Kind::Leg(state), true);
    }
    for leg in 1..legs {
        if *topology.kind(leg) != Kind::Leg(State::Up) || topology.devices[leg].net.is_none() {
            continue;
        }
        match dice.below(8) {
            0 | 1 => drop(add(topology, "mv", Kind::MacVlan(leg), true)),
            2 if machine.vlan => drop(add(topology, "tag", Kind::Vlan(leg), true)),
            3 if machine.ipvlan => drop(add(topology, "ipv", Kind::IpVlan(leg), true)),
            4 if machine.vrf => drop(add(topology, "vrf", Kind::Vrf(vec![leg]), false)),
            5 | 6 => bridge(topology, leg, legs, dice),
            _ => (),
        }
    }
    if machine.dummy && dice.chance(30) {
        add(topology, "end", Kind::Dummy, true);
    }
    if dice.chance(70) {
        let port = add(topology, "box", Kind::Port, false);
        topology.devices[port].net = Some(CONTAINER);
    }
}

/// A bridge of this leg, perhaps the next one, and perhaps one of the host's own.
fn bridge(topology: &mut Topology, leg: Id, legs: usize, dice: &mut Dice) {
    let mut ports = vec![leg];
    if leg + 1 < legs && dice.chance(50) {
        ports.push(leg + 1);
    }
    for &port in &ports {
        topology.devices[port].net = None;
    }
    let learned = dice.chance(50).then_some(leg);
    let has_host = dice.chance(60);
    let bridge = Kind::Bridge {
        ports: ports.clone(),
        learned,
    };
    let bridge = add(topology, "br", bridge, true);
    if has_host {
        let plug = add(topology, "plug", Kind::Plug(bridge), false);
        add(topology, "host", Kind::Host(plug), true);
        ports.push(plug);
        topology.devices[bridge].kind = Kind::Bridge { ports, learned };
    }
}

fn add(topology: &mut Topology, name: &str, kind: Kind, has_net: bool) -> Id {
    let id = topology.devices.len();
    topology.devices.push(Device {
        name: format!("{name}{id}"),
        kind,
        net: has_net.then_some(10 + id as u8),
    });
    id
}

fn routes(topology: &mut Topology, dice: &mut Dice) {
    let leads = |topology: &Topology, id: Id| {
        let is_there = topology.devices[id].net.is_some();
        is_there && !matches!(topology.kind(id), Kind::Port | Kind::Leg(State::Down))
    };
    let all: Vec<_> = topology.ids().filter(|&id| leads(topology, id)).collect();
    let outward: Vec<_> = all
        .iter()
        .copied()
        .filter(|&id| topology.domain(id).is_none())
        .filter(|&id| !matches!(topology.kind(id), Kind::Dummy | Kind::Leg(State::NoCarrier)))
        .collect();
    topology.default = dice.pick(&outward).expect("the first leg");
    for number in BEYOND..BEYOND + BEYONDS {
        if let Some(id) = dice.pick(&all)
            && dice.chance(70)
        {
            topology.routes.push((number, id));
        }
    }
}

/// A leg that nothing else is made of.
fn is_plain(topology: &Topology, id: Id) -> bool {
    let is_below = topology.devices.iter().any(|device| {
        matches!(device.kind, Kind::MacVlan(over) | Kind::Vlan(over) | Kind::IpVlan(over) if over == id)
    });
    *topology.kind(id) == Kind::Leg(State::Up)
        && topology.devices[id].net.is_some()
        && topology.domain(id).is_none()
        && !is_below
}

fn taps(topology: &mut Topology, machine: Machine, dice: &mut Dice) {
    for _ in 0..dice.below(3) {
        let mut ids = topology.ids();
        let ups = ids
            .by_ref()
            .filter(|&id| *topology.kind(id) == Kind::Leg(State::Up));
        let is_free = |id: &Id| {
            topology
                .taps
                .iter()
                .all(|tap| tap.on != *id && tap.to != *id)
        };
        let ups: Vec<_> = ups.filter(is_free).collect();
        let plain: Vec<_> = ups
            .iter()
            .copied()
            .filter(|&id| is_plain(topology, id))
            .collect();
        let Some(how) = dice.pick(&[
            How::Mirror,
            How::Redirect,
            How::MirrorArriving,
            How::Shape,
            How::ShapeArriving,
            How::Dup,
            How::Tee,
        ]) else {
            continue;
        };
        if how == How::Dup && !machine.netdev_egress {
            continue;
        }
        let container = topology.container().filter(is_free);
        let on = match how {
            How::Mirror | How::Redirect | How::Shape | How::Dup => ups,
            How::MirrorArriving | How::ShapeArriving => {
                plain.iter().copied().chain(container).collect()
            }
            // What is routed there.
            How::Tee => ups
                .into_iter()
                .filter(|&id| topology.devices[id].net.is_some())
                .collect(),
        };
        let Some(on) = dice.pick(&on) else { continue };
        let to = match how {
            How::Shape | How::ShapeArriving => Some(add(topology, "ifb", Kind::Ifb, false)),
            _ => {
                let others: Vec<_> = plain.into_iter().filter(|&id| id != on).collect();
                dice.pick(&others)
            }
        };
        if let Some(to) = to {
            topology.taps.push(Tap { how, on, to });
        }
    }
}

/// What rules may be for.
fn prefixes(topology: &Topology) -> Vec<Prefix> {
    let nets = topology.devices.iter().filter_map(|device| device.net);
    let mut prefixes: Vec<_> = nets.map(Prefix::Net).collect();
    prefixes.extend((BEYOND..BEYOND + BEYONDS).map(Prefix::Net));
    prefixes.push(Prefix::Inside);
    prefixes
}

/// A rule before all others that allows what it names.
fn exception(topology: &Topology, dice: &mut Dice) -> Rule {
    Rule {
        to: dice.some(&prefixes(topology), 35),
        only_via: Vec::new(),
        pinned: false,
        allows: true,
    }
}

fn policy(topology: &Topology, dice: &mut Dice) -> Policy {
    let all: Vec<_> = topology.ids().collect();
    let zones = (0..1 + dice.below(2)).map(|_| Zone {
        devices: dice.some(&all, 35),
        contained: dice.chance(50),
    });
    let zones: Vec<_> = zones.collect();
    let prefixes = prefixes(topology);
    let numbers: Vec<_> = (0..zones.len()).collect();
    let rules = (0..dice.below(3)).map(|_| {
        let only_via = match dice.chance(75) {
            true => dice.some(&numbers, 50),
            false => Vec::new(),
        };
        Rule {
            to: dice.some(&prefixes, 25),
            // A rule must demand something.
            pinned: only_via.is_empty() || dice.chance(30),
            only_via,
            allows: false,
        }
    });
    Policy {
        rules: rules.collect(),
        zones,
    }
}
