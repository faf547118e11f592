//! A host in memory: interfaces on top of each other that have addresses, in zones, under a policy.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    key::{Address, IfIndex},
    packet::Packet,
    policy::{
        Slot, ZoneSet,
        tests::rules::{InMemory, Rule, Ruled, Rules, SLOT, Sender, set},
    },
    sighting::Origin,
    verdict::{Decision, Traffic, World, decide},
};

/// What pinif knows of a host, and the policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// Pairs of an interface and its lower device, as userspace publishes them.
    pub(super) lower_devices: BTreeSet<(IfIndex, IfIndex)>,
    /// The interfaces that have an address.
    pub(super) holders: BTreeMap<Address, BTreeSet<IfIndex>>,
    /// The zones of an interface.
    pub(super) zones: BTreeMap<IfIndex, ZoneSet>,
    /// The interfaces that lead nowhere.
    pub(super) ends: BTreeSet<IfIndex>,
    pub(super) policy: Rules,
    /// Who sends, as far as rules look at it.
    pub(super) sender: Sender,
}

impl Host {
    pub(super) fn address(mut self, interface: IfIndex, address: Address) -> Self {
        self.holders.entry(address).or_default().insert(interface);
        self
    }

    pub(super) fn with_lower(mut self, upper: IfIndex, lower: IfIndex) -> Self {
        self.lower_devices.insert((upper, lower));
        self
    }

    pub(super) fn zone(mut self, zone: usize, interfaces: &[IfIndex]) -> Self {
        for &interface in interfaces {
            self.zones.entry(interface).or_default().insert(zone);
        }
        self
    }

    pub(super) fn contained(mut self, zones: &[usize]) -> Self {
        self.policy.contained = set(zones);
        self
    }

    pub(super) fn rule(mut self, rule: Rule) -> Self {
        self.policy.rules.push(rule);
        self
    }

    /// What pinif says of what was sent.
    pub(super) fn judge(&self, sent: &Sent) -> Decision {
        let traffic = sent.traffic();
        decide(&traffic, &self.policy.active(), self)
    }

    /// Whether a packet with this verdict is dropped where the policy is enforced.
    pub(super) fn is_dropped(&self, decision: &Decision) -> bool {
        let rule = self.policy.rules.get(usize::from(decision.rule));
        let demand = rule.and_then(|rule| rule.demand).unwrap_or_default();
        decision.is_dropped(demand.action())
    }
}

/// One packet on its way out, and its socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) origin: Origin,
    pub(super) bound: IfIndex,
    pub(super) names_interface: bool,
    pub(super) bound_address: Option<Address>,
    pub(super) packet: Option<Packet>,
    pub(super) egress: IfIndex,
    /// The interface by which its destination was heard.
    pub(super) heard: IfIndex,
}

impl Sent {
    /// A UDP datagram of a process's unpinned socket.
    pub(super) fn udp(source: Address, destination: Address, egress: IfIndex) -> Self {
        Self {
            origin: Origin::Process,
            bound: IfIndex::NONE,
            names_interface: false,
            bound_address: None,
            packet: Some(Packet {
                source,
                destination,
                source_port: 40000,
                destination_port: 5000,
                protocol: 17,
                later_fragment: false,
                icmp_type: 0,
                tos: 0,
            }),
            egress,
            heard: IfIndex::NONE,
        }
    }

    /// As `decide` takes it.
    pub(super) fn traffic(&self) -> Traffic<'_> {
        Traffic {
            origin: self.origin,
            bound: self.bound,
            names_interface: self.names_interface,
            bound_address: self.bound_address,
            packet: self.packet.as_ref(),
            egress: self.egress,
            heard: self.heard,
        }
    }

    pub(super) fn origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// Its socket is bound to the device.
    pub(super) fn pinned(self, bound: IfIndex) -> Self {
        Self { bound, ..self }
    }

    /// Its socket is a packet socket, which says with each packet where that is to leave.
    pub(super) fn by_packet_socket(self) -> Self {
        Self {
            names_interface: true,
            ..self
        }
    }

    /// Its socket called `bind()` with the address.
    pub(super) fn bound_address(self, address: Address) -> Self {
        Self {
            bound_address: Some(address),
            ..self
        }
    }

    /// Its destination was heard by this interface.
    pub(super) fn heard(self, heard: IfIndex) -> Self {
        Self { heard, ..self }
    }

    /// It is no IP packet, or cannot be read.
    pub(super) fn without_headers(self) -> Self {
        Self {
            packet: None,
            ..self
        }
    }
}

impl World for Host {
    fn is_lower_of(&self, lower: IfIndex, upper: IfIndex) -> bool {
        assert_ne!(
            upper, lower,
            "the table of lower devices has two interfaces"
        );
        self.lower_devices.contains(&(upper, lower))
    }

    fn sole_owner(&self, address: &Address) -> IfIndex {
        match self
            .holders
            .get(address)
            .map(|holders| (holders.len(), holders.first()))
        {
            Some((1, Some(&only))) if only != IfIndex::LOOPBACK => only,
            _ => IfIndex::NONE,
        }
    }

    fn zones(&self, slot: Slot, interface: IfIndex) -> ZoneSet {
        assert_eq!(slot, SLOT, "asked for the policy that is not in force");
        self.zones.get(&interface).copied().unwrap_or_default()
    }

    fn leads_nowhere(&self, slot: Slot, interface: IfIndex) -> bool {
        assert_eq!(slot, SLOT, "asked for the policy that is not in force");
        self.ends.contains(&interface)
    }
}

impl Ruled for Host {
    fn tables(&self) -> InMemory<'_> {
        self.policy.tables(self.sender)
    }
}
