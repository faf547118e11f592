//! Telling the kernel what the host is like and what the policy demands. Everything is prepared in the maps first; a
//! policy takes effect in one step.

pub mod gates;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapData},
};
use pinif_ebpf::{
    carrier::{CarrierKey, DeviceKey},
    key::{Address, AddressKey, IfIndex, InterfaceKey, NetNsCookie},
    policy::{InForce, InterfaceZones, Slot, ZoneSet, about},
    verdict::arrival::Gate,
};

use self::tables::Tables;
use crate::{
    host::{
        carriers::{bridges, carriers},
        network::Network,
    },
    policy::Policy,
};

/// Writes the maps that the programs read.
pub struct Publisher {
    tables: Tables,
    /// What the maps hold of each namespace.
    published: BTreeMap<NetNsCookie, Published>,
    in_force: InForce,
    generation: u32,
}

#[derive(Default)]
struct Published {
    carriers: BTreeSet<(IfIndex, IfIndex)>,
    /// The ports of audited bridges, each with its bridge.
    bridges: BTreeMap<IfIndex, IfIndex>,
    addresses: BTreeMap<Address, IfIndex>,
    zones: BTreeMap<IfIndex, InterfaceZones>,
    gates: BTreeMap<IfIndex, Gate>,
}

/// A name in the policy that means nothing on this host now: its rule matches nothing until the policy is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// What is not there, with its kind: `cgroup /a`, `executable /b`.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Publisher {
    /// Takes the maps of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            tables: Tables::open(ebpf)?,
            published: BTreeMap::new(),
            in_force: InForce::default(),
            generation: 0,
        })
    }

    /// The number of the policy in force, as sightings name it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Makes the maps say of a namespace what it is like now. Only what changed is written; what is new before what is
    /// gone, so that nothing is unknown in between. `audited` tells the interfaces that the programs are attached to.
    ///
    /// # Errors
    ///
    /// When a map is full.
    pub fn network(
        &mut self,
        netns: NetNsCookie,
        network: &Network,
        policy: &Policy,
        audited: impl Fn(IfIndex) -> bool,
    ) -> Result<()> {
        let now = Published {
            carriers: carriers(&network.links),
            bridges: bridges(&network.links, audited),
            addresses: addresses(network),
            zones: zones(network, policy),
            gates: gates::of(network, policy),
        };
        let slot = self.in_force.slot();
        let before = self.published.entry(netns).or_default();
        let tables = &mut self.tables;
        sync(
            &mut tables.carriers,
            before
                .carriers
                .iter()
                .map(|&pair| (carrier(netns, pair), 1)),
            now.carriers.iter().map(|&pair| (carrier(netns, pair), 1)),
        )
        .context("the table of carriers is full")?;
        let port = |(&port, &bridge): (&IfIndex, &IfIndex)| (device(netns, port), bridge);
        sync(
            &mut tables.bridges,
            before.bridges.iter().map(port),
            now.bridges.iter().map(port),
        )
        .context("the table of bridges' ports is full")?;
        let address =
            |(&address, &owner): (&Address, &IfIndex)| (AddressKey { netns, address }, owner);
        sync(
            &mut tables.addresses,
            before.addresses.iter().map(address),
            now.addresses.iter().map(address),
        )
        .context("the table of local addresses is full")?;
        let zone = |(&interface, &zones): (&IfIndex, &InterfaceZones)| {
            zone_entry(netns, slot, interface, zones)
        };
        sync(
            &mut tables.zones,
            before.zones.iter().map(zone),
            now.zones.iter().map(zone),
        )
        .context("the table of interfaces is full")?;
        let gate = |(&interface, &gate): (&IfIndex, &Gate)| (key(netns, slot, interface), gate);
        sync(
            &mut tables.gates,
            before.gates.iter().map(gate),
            now.gates.iter().map(gate),
        )
        .context("the table of what may arrive is full")?;
        *before = now;
        self.count_bridged()?;
        // Whatever was decided by what was is decided anew.
        self.take_effect(self.in_force.next_of_same())
            .context("the decisions on earlier packets cannot be made void")
    }

    /// Says what is in force from now on: every packet after this is judged by it.
    fn take_effect(&mut self, in_force: InForce) -> Result<()> {
        self.tables.in_force.set(0, in_force.0, 0)?;
        self.in_force = in_force;
        Ok(())
    }

    /// Tells the programs whether there is any port of a bridge at all.
    fn count_bridged(&mut self) -> Result<()> {
        let ports = self.published.values().map(|one| one.bridges.len() as u32);
        self.tables
            .bridged
            .set(0, ports.sum::<u32>(), 0)
            .context("the number of bridges' ports cannot be written")
    }

    /// Forgets a namespace that is gone.
    pub fn forget(&mut self, netns: NetNsCookie) {
        let Some(gone) = self.published.remove(&netns) else {
            return;
        };
        let slot = self.in_force.slot();
        for pair in gone.carriers {
            let _ = self.tables.carriers.remove(&carrier(netns, pair));
        }
        for port in gone.bridges.into_keys() {
            let _ = self.tables.bridges.remove(&device(netns, port));
        }
        for address in gone.addresses.into_keys() {
            let _ = self.tables.addresses.remove(&AddressKey { netns, address });
        }
        for (interface, zones) in gone.zones {
            let (zone, _) = zone_entry(netns, slot, interface, zones);
            let _ = self.tables.zones.remove(&zone);
        }
        for interface in gone.gates.into_keys() {
            let _ = self.tables.gates.remove(&key(netns, slot, interface));
        }
    }

    /// Puts a policy into force: writes it into the slot that is not in force, and then says so in one word. A packet
    /// sees the old policy or the new one.
    ///
    /// Returns what the policy names and this host does not have.
    ///
    /// # Errors
    ///
    /// When a table is full. The old policy stays in force then.
    pub fn policy(
        &mut self,
        policy: &Policy,
        networks: &[(NetNsCookie, &Network)],
    ) -> Result<Vec<Unresolved>> {
        let slot = 1 - self.in_force.slot();
        let generation = self.generation.wrapping_add(1);
        self.tables.clear(slot)?;
        let mut unresolved = Vec::new();
        let mut zones_of = Vec::new();
        let mut gates_of = Vec::new();
        let written = self
            .tables
            .write(policy, slot, generation, &mut unresolved)
            .and_then(|dimensions| {
                for &(netns, network) in networks {
                    let zones = zones(network, policy);
                    for (&interface, &zones) in &zones {
                        let (zone, value) = zone_entry(netns, slot, interface, zones);
                        self.tables
                            .zones
                            .insert(zone, value, 0)
                            .context("the table of interfaces is full")?;
                    }
                    zones_of.push((netns, zones));
                    let gates = gates::of(network, policy);
                    for (&interface, &gate) in &gates {
                        self.tables
                            .gates
                            .insert(key(netns, slot, interface), gate, 0)
                            .context("the table of what may arrive is full")?;
                    }
                    gates_of.push((netns, gates));
                }
                Ok(dimensions)
            });
        let dimensions = match written {
            Ok(dimensions) => dimensions,
            Err(error) => {
                self.tables.clear(slot)?;
                return Err(error);
            }
        };
        // From this write on, packets see the new policy.
        let old = self.in_force.slot();
        self.take_effect(self.in_force.next(slot, dimensions))
            .context("the policy cannot be put into force")?;
        self.generation = generation;
        for (netns, zones) in zones_of {
            self.published.entry(netns).or_default().zones = zones;
        }
        for (netns, gates) in gates_of {
            self.published.entry(netns).or_default().gates = gates;
        }
        // A packet that read the old slot is judged by it to its end before that is cleared.
        wait_for_running_programs();
        self.tables.clear(old)?;
        Ok(unresolved)
    }
}

fn carrier(netns: NetNsCookie, (upper, lower): (IfIndex, IfIndex)) -> CarrierKey {
    CarrierKey {
        netns,
        upper,
        lower,
    }
}

fn device(netns: NetNsCookie, device: IfIndex) -> DeviceKey {
    DeviceKey {
        netns,
        device,
        _pad: 0,
    }
}

fn zone_entry(
    netns: NetNsCookie,
    slot: Slot,
    interface: IfIndex,
    zones: InterfaceZones,
) -> (InterfaceKey, InterfaceZones) {
    (key(netns, slot, interface), zones)
}

fn key(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> InterfaceKey {
    InterfaceKey {
        netns,
        interface,
        slot,
    }
}

/// Every local address with its sole owner, or none.
fn addresses(network: &Network) -> BTreeMap<Address, IfIndex> {
    let all = network
        .addresses
        .iter()
        .map(|local| (Address::from(local.address), IfIndex::NONE));
    let mut addresses: BTreeMap<Address, IfIndex> = all.collect();
    addresses.extend(
        network
            .sole_owners()
            .map(|(address, owner)| (Address::from(address), owner)),
    );
    addresses
}

/// What the programs are told of every interface: its zones, its own and those of the interfaces that it carries, and
/// the rest ([`about`]). Interfaces of which there is nothing to say are left out.
fn zones(network: &Network, policy: &Policy) -> BTreeMap<IfIndex, InterfaceZones> {
    let mut said: BTreeMap<IfIndex, InterfaceZones> = network
        .links
        .iter()
        .map(|link| {
            let zones = policy.zones_of(&link.name);
            (link.index, InterfaceZones { zones, about: 0 })
        })
        .collect();
    for (upper, lower) in carriers(&network.links) {
        let Some(link) = network.links.get(upper) else {
            continue;
        };
        if let Some(lower) = said.get_mut(&lower) {
            lower.zones.0 |= policy.zones_of(&link.name).0;
        }
        if let Some(upper) = said.get_mut(&upper) {
            upper.about |= about::STACKED;
        }
    }
    for said in said.values_mut() {
        said.about |= keeps(said.zones, policy);
    }
    said.retain(|_, said| *said != InterfaceZones::default());
    said
}

/// For whom no rule is broken by leaving by an interface of these zones.
fn keeps(zones: ZoneSet, policy: &Policy) -> u64 {
    let may_leave = |only_via: &[usize]| {
        only_via.is_empty() || only_via.iter().any(|&zone| zones.contains(zone))
    };
    if !policy.rules.iter().all(|rule| may_leave(&rule.only_via)) {
        0
    } else if policy.rules.iter().any(|rule| rule.pinned) {
        about::KEEPS_PINNED
    } else {
        about::KEEPS_PINNED | about::KEEPS_UNPINNED
    }
}

/// Writes the entries that are new or other, then removes those that are gone.
fn sync<K: Pod + Ord, V: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    before: impl Iterator<Item = (K, V)>,
    now: impl Iterator<Item = (K, V)>,
) -> Result<()> {
    let mut before: BTreeMap<K, V> = before.collect();
    for (key, value) in now {
        if before.remove(&key).is_none_or(|old| old != value) {
            map.insert(key, value, 0)?;
        }
    }
    for key in before.into_keys() {
        let _ = map.remove(&key);
    }
    Ok(())
}

/// Returns when every program that ran has ended: they run inside RCU read sections, and `MEMBARRIER_CMD_GLOBAL` is
/// `synchronize_rcu` (membarrier(2)).
pub fn wait_for_running_programs() {
    // SAFETY: the command has no argument that points anywhere.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
