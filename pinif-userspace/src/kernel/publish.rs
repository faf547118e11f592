//! Publishing to the programs what the host is like and what the policy demands. Everything is prepared in the maps first; a
//! policy takes effect in one step.

mod host;
mod named;
mod tables;
mod zones;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use pinif_ebpf::{
    enforce::until,
    key::{IfIndex, NetNsCookie},
    policy::{InForce, InterfaceZones, Slot, ZoneSet, flags},
    verdict::arrival::IngressPolicy,
};

pub use self::host::counted_above;
pub use self::named::{Named, Unresolved, unresolved};
pub use self::zones::of as interface_zones;
use self::{
    host::Host,
    tables::{More, Tables, Written, interface_key},
};
use crate::{
    host::network::Network,
    kernel::{fill::Fill, grace::wait_for_running_programs},
    policy::{Policy, ingress_policy},
};

/// Writes the maps that the programs read.
pub struct Publisher {
    tables: Tables,
    /// What the maps hold of each namespace.
    published: BTreeMap<NetNsCookie, Published>,
    in_force: InForce,
    generation: u32,
    /// What the policy in force names by a path.
    pub named: Named,
    /// A policy is, or was, in force: of this instance or of a previous one.
    has_policy: bool,
    more: More,
}

#[derive(Default)]
struct Published {
    host: Host,
    zones: BTreeMap<IfIndex, InterfaceZones>,
    ingress: BTreeMap<IfIndex, IngressPolicy>,
}

impl Published {
    /// Whether packets may be refused that are to leave by an interface.
    fn is_enforced(&self, index: IfIndex) -> bool {
        let zones = self.zones.get(&index);
        zones.is_some_and(|zones| zones.about & flags::ENFORCED != 0)
    }
}

impl Publisher {
    /// Takes the maps of a loaded object, with what a previous instance has published in them.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape, or one cannot be read.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let tables = Tables::open(ebpf)?;
        let read = "what a previous instance has published cannot be read";
        let in_force = InForce(tables.in_force.get(&0, 0).context(read)?);
        let slot = in_force.slot();
        let active = tables.policies.get(&slot, 0).context(read)?;
        let mut published: BTreeMap<NetNsCookie, Published> = BTreeMap::new();
        for (netns, host) in Host::read(&tables).context(read)? {
            published.entry(netns).or_default().host = host;
        }
        for zone in tables.zones.iter() {
            let (key, zones) = zone.context(read)?;
            if key.slot == slot {
                let of = &mut published.entry(key.netns).or_default().zones;
                of.insert(key.interface, zones);
            }
        }
        for allows in tables.ingress_policy.iter() {
            let (key, allows) = allows.context(read)?;
            if key.slot == slot {
                let of = &mut published.entry(key.netns).or_default().ingress;
                of.insert(key.interface, allows);
            }
        }
        Ok(Self {
            generation: active.generation,
            has_policy: active.generation != 0,
            more: More {
                enforce_until: active.enforce_until,
                learns: false,
            },
            named: Named::default(),
            published,
            in_force,
            tables,
        })
    }

    /// The slot of the policy in force.
    pub fn slot(&self) -> Slot {
        self.in_force.slot()
    }

    /// The slot that the next policy will be in.
    pub fn next_slot(&self) -> Slot {
        1 - self.in_force.slot()
    }

    /// Has the next policy be the one in force once more, under the same number: a previous instance's, which has it from the
    /// same file.
    pub fn goes_on(&mut self) {
        self.generation = self.generation.wrapping_sub(1);
    }

    /// The namespaces of which something is published.
    pub fn namespaces(&self) -> Vec<NetNsCookie> {
        self.published.keys().copied().collect()
    }

    /// The number of the policy in force, as sightings name it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Until when the policy in force is enforced, by this instance or a previous one ([`pinif_ebpf::enforce::until`]).
    pub fn enforced_until(&self) -> u64 {
        self.more.enforce_until
    }

    /// Whether the policy in force is enforced now, at this instant of `CLOCK_MONOTONIC`.
    pub fn enforces(&self, now: Duration) -> bool {
        until::holds(self.more.enforce_until, || now.as_nanos() as u64)
    }

    /// Has the policy in force, and those that come after it, enforced until this instant ([`pinif_ebpf::enforce::until`]):
    /// nanoseconds of `CLOCK_MONOTONIC`. The programs look at their own clock: nobody has to be there to end it.
    ///
    /// # Errors
    ///
    /// When the map cannot be written.
    pub fn enforce(&mut self, until: u64) -> Result<()> {
        self.tables
            .enforce(self.in_force.slot(), until)
            .context("how long the policy is enforced cannot be written")?;
        self.more.enforce_until = until;
        Ok(())
    }

    /// Has policies that come into force from now on judge each socket and each destination by itself, so that the programs learn of them.
    pub fn learn(&mut self) {
        self.more.learns = true;
    }

    /// The zones that an interface is in; nothing where it is not published.
    pub fn zones(&self, netns: NetNsCookie, interface: IfIndex) -> Option<ZoneSet> {
        let of = &self.published.get(&netns)?.zones;
        Some(of.get(&interface)?.zones)
    }

    /// How full the tables are that interfaces and addresses fill.
    pub fn fills(&self) -> [Fill; 4] {
        let room = &self.tables.room;
        let sum = |map, entries: fn(&Published) -> usize, capacity| Fill {
            map,
            entries: self.published.values().map(|one| entries(one) as u64).sum(),
            capacity,
        };
        [
            sum(
                "lower-devices",
                |one| one.host.lower_devices(),
                room.lower_devices,
            ),
            sum("addresses", |one| one.host.addresses(), room.addresses),
            sum("names", |one| one.host.names(), room.names),
            sum("zones", |one| one.zones.len(), room.zones),
        ]
    }

    /// Makes the maps say of a namespace what it is like now. Only what changed is written; what is new before what is
    /// gone, so that nothing is unknown in between. `audited` says which are the interfaces that the programs are attached to.
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
        let enforces = self.more.enforce_until != until::NEVER;
        let now = Published {
            zones: zones::of(network, policy, |index| enforces && audited(index)),
            host: Host::of(netns, network, audited),
            ingress: ingress_policy::of(network, policy),
        };
        if let Err(error) = self.write(netns, &now) {
            // What was written of it is known to nobody: it goes, so that the room is not lost.
            let nothing = Published::default();
            let before = self.published.get(&netns).unwrap_or(&nothing);
            before.host.sweep(&now.host, &mut self.tables);
            return Err(error);
        }
        self.published.insert(netns, now);
        self.count_layers((0, 0))?;
        // Whatever was decided by what was is decided anew.
        self.take_effect(self.in_force.next_of_same())
            .context("the decisions on earlier packets cannot be made void")
    }

    fn write(&mut self, netns: NetNsCookie, now: &Published) -> Result<()> {
        // While both are there, of what was and what is.
        self.count_layers(now.host.layers())?;
        let nothing = Published::default();
        let before = self.published.get(&netns).unwrap_or(&nothing);
        let tables = &mut self.tables;
        let slot = self.in_force.slot();
        let entries = |zones: &BTreeMap<IfIndex, InterfaceZones>| -> BTreeMap<_, _> {
            let zones = zones.iter();
            zones
                .map(|(&interface, &zones)| (interface_key(netns, slot, interface), zones))
                .collect()
        };
        let (zones_before, zones_now) = (entries(&before.zones), entries(&now.zones));
        let ingress = |ingress: &BTreeMap<IfIndex, IngressPolicy>| -> BTreeMap<_, _> {
            let ingress = ingress.iter();
            ingress
                .map(|(&interface, &allows)| (interface_key(netns, slot, interface), allows))
                .collect()
        };
        let (ingress_before, ingress_now) = (ingress(&before.ingress), ingress(&now.ingress));
        now.host.write(&before.host, tables)?;
        host::write(&mut tables.ingress_policy, &ingress_before, &ingress_now)
            .context("the table of what may arrive is full")?;
        host::write(&mut tables.zones, &zones_before, &zones_now)
            .context("the table of interfaces is full")?;
        now.host.write_names(&before.host, tables)?;
        host::sweep(&mut tables.zones, &zones_before, &zones_now);
        host::sweep(&mut tables.ingress_policy, &ingress_before, &ingress_now);
        now.host.sweep(&before.host, tables);
        Ok(())
    }

    /// Says what is in force from now on: every packet after this is judged by it.
    fn take_effect(&mut self, in_force: InForce) -> Result<()> {
        self.tables.in_force.set(0, in_force.0, 0)?;
        self.in_force = in_force;
        Ok(())
    }

    /// Says that nothing is in force any more: no packet after this is counted. What is published stays, for who asks.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn withdraw(&mut self) -> Result<()> {
        let word = InForce::NOTHING.0;
        self.tables
            .in_force
            .set(0, word, 0)
            .context("what is in force cannot be withdrawn")
    }

    /// Writes for the programs whether there is any port of a bridge at all, and any tunnel.
    fn count_layers(&mut self, further: (u32, u32)) -> Result<()> {
        let all = self.published.values().map(|one| one.host.layers());
        let (ports, headers) = all.fold(further, |sum, one| (sum.0 + one.0, sum.1 + one.1));
        self.tables
            .bridged
            .set(0, ports, 0)
            .and_then(|()| self.tables.tunneled.set(0, headers, 0))
            .context("the number of layers cannot be written")
    }

    /// Has the policy in force follow what it names by a path: cgroups and programs that are others by now. Returns which.
    ///
    /// # Errors
    ///
    /// When a table is full.
    pub fn follow_names(&mut self) -> Result<Vec<String>> {
        let new = self.named.look_again();
        if !new.is_empty() {
            self.tables.write_named(&self.named, self.in_force.slot())?;
            // What was decided of their packets may be decided otherwise now.
            self.take_effect(self.in_force.next_of_same())?;
        }
        Ok(new)
    }

    /// Forgets a namespace that is gone.
    pub fn forget(&mut self, netns: NetNsCookie) {
        let Some(gone) = self.published.remove(&netns) else {
            return;
        };
        let slot = self.in_force.slot();
        Host::default().sweep(&gone.host, &mut self.tables);
        for interface in gone.zones.into_keys() {
            let _ = self
                .tables
                .zones
                .remove(&interface_key(netns, slot, interface));
        }
        for interface in gone.ingress.into_keys() {
            let _ = self
                .tables
                .ingress_policy
                .remove(&interface_key(netns, slot, interface));
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
        let mut zones_of = Vec::new();
        let mut ingress_of = Vec::new();
        let written = self
            .tables
            .write(policy, slot, generation, &self.more)
            .and_then(|written| {
                for &(netns, network) in networks {
                    let before = self.published.get(&netns);
                    let enforced = |index| before.is_some_and(|before| before.is_enforced(index));
                    let zones = zones::of(network, policy, enforced);
                    for (&interface, &zones) in &zones {
                        self.tables
                            .zones
                            .insert(interface_key(netns, slot, interface), zones, 0)
                            .context("the table of interfaces is full")?;
                    }
                    zones_of.push((netns, zones));
                    let ingress = ingress_policy::of(network, policy);
                    for (&interface, &allows) in &ingress {
                        self.tables
                            .ingress_policy
                            .insert(interface_key(netns, slot, interface), allows, 0)
                            .context("the table of what may arrive is full")?;
                    }
                    ingress_of.push((netns, ingress));
                }
                Ok(written)
            });
        let Written {
            dimensions,
            named,
            unresolved,
        } = match written {
            Ok(written) => written,
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
        self.named = named;
        // The slot has nothing of a namespace that was not given.
        for published in self.published.values_mut() {
            published.zones.clear();
            published.ingress.clear();
        }
        for (netns, zones) in zones_of {
            self.published.entry(netns).or_default().zones = zones;
        }
        for (netns, ingress) in ingress_of {
            self.published.entry(netns).or_default().ingress = ingress;
        }
        if self.has_policy {
            // A packet that read the old slot is judged by it to its end before that is cleared.
            wait_for_running_programs();
            self.tables.clear(old)?;
        }
        self.has_policy = true;
        Ok(unresolved)
    }
}
