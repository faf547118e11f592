//! The maps that the policy and the host's state are written into.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, LpmTrie, MapData, lpm_trie::Key},
};
use pinif_ebpf::{
    intent::Name,
    key::{Address, AddressKey, IfIndex, InterfaceKey, NetNsCookie},
    lower_devices::{DeviceKey, LowerDeviceKey},
    policy::{
        Active, CgroupKey, Demand, DemandKey, ExecutableKey, InterfaceZones, NumberKey, PortKey,
        PrefixKey, RuleSet, Slot, dimension::LEARNED,
    },
    tunnel::TunnelKey,
    verdict::arrival::IngressPolicy,
};

use super::named::{Named, Unresolved};
use crate::{
    kernel::{fill::capacity, object::take_map},
    policy::{
        Policy,
        compile::{Compiled, TrieEntry, compile},
    },
};

/// What is in force beside what a policy says.
pub(super) struct More {
    /// Until when policies are enforced ([`pinif_ebpf::enforce::until`]).
    pub(super) enforce_until: u64,
    /// Whether it is learned what is sent by whom.
    pub(super) learns: bool,
}

/// A policy that was written.
pub(super) struct Written {
    /// What its rules look at.
    pub(super) dimensions: u32,
    /// What it names by a path.
    pub(super) named: Named,
    /// What of it is not there.
    pub(super) unresolved: Vec<Unresolved>,
}

/// The maps, by their names in the programs.
pub(super) struct Tables {
    pub(super) lower_devices: HashMap<MapData, LowerDeviceKey, u32>,
    pub(super) bridges: HashMap<MapData, DeviceKey, IfIndex>,
    pub(super) bridged: Array<MapData, u32>,
    pub(super) tunnels: HashMap<MapData, TunnelKey, u32>,
    pub(super) tunneled: Array<MapData, u32>,
    pub(super) names: HashMap<MapData, DeviceKey, Name>,
    pub(super) addresses: HashMap<MapData, AddressKey, IfIndex>,
    pub(super) zones: HashMap<MapData, InterfaceKey, InterfaceZones>,
    pub(super) ingress_policy: HashMap<MapData, InterfaceKey, IngressPolicy>,
    pub(super) in_force: Array<MapData, u64>,
    pub(super) policies: Array<MapData, Active>,
    pub(super) demands: HashMap<MapData, DemandKey, Demand>,
    pub(super) destinations: LpmTrie<MapData, PrefixKey, RuleSet>,
    pub(super) sources: LpmTrie<MapData, PrefixKey, RuleSet>,
    pub(super) ports: LpmTrie<MapData, PortKey, RuleSet>,
    pub(super) source_ports: LpmTrie<MapData, PortKey, RuleSet>,
    pub(super) protocols: HashMap<MapData, NumberKey, RuleSet>,
    pub(super) users: HashMap<MapData, NumberKey, RuleSet>,
    pub(super) cgroups: HashMap<MapData, CgroupKey, RuleSet>,
    pub(super) executables: HashMap<MapData, ExecutableKey, RuleSet>,
    /// How many entries there is room for, of those that interfaces and addresses fill.
    pub(super) room: Room,
}

/// How many entries tables have room for.
pub(super) struct Room {
    pub(super) lower_devices: u64,
    pub(super) addresses: u64,
    pub(super) names: u64,
    pub(super) zones: u64,
}

impl Tables {
    /// Takes the maps of a loaded object.
    ///
    /// # Errors
    ///
    /// When the object lacks one, or has it in another shape.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let mut take = |name| take_map(ebpf, name);
        let (lower_devices, names) = (take("LOWER_DEVICES")?, take("NAMES")?);
        let (addresses, zones) = (take("ADDRESSES")?, take("ZONES")?);
        Ok(Self {
            room: Room {
                lower_devices: capacity(&lower_devices)?,
                addresses: capacity(&addresses)?,
                names: capacity(&names)?,
                zones: capacity(&zones)?,
            },
            lower_devices: lower_devices.try_into()?,
            bridges: take("BRIDGES")?.try_into()?,
            bridged: take("BRIDGED")?.try_into()?,
            tunnels: take("TUNNELS")?.try_into()?,
            tunneled: take("TUNNELED")?.try_into()?,
            names: names.try_into()?,
            addresses: addresses.try_into()?,
            zones: zones.try_into()?,
            ingress_policy: take("INGRESS_POLICY")?.try_into()?,
            in_force: take("IN_FORCE")?.try_into()?,
            policies: take("POLICIES")?.try_into()?,
            demands: take("DEMANDS")?.try_into()?,
            destinations: take("DESTINATIONS")?.try_into()?,
            sources: take("SOURCES")?.try_into()?,
            ports: take("PORTS")?.try_into()?,
            source_ports: take("SOURCE_PORTS")?.try_into()?,
            protocols: take("PROTOCOLS")?.try_into()?,
            users: take("USERS")?.try_into()?,
            cgroups: take("CGROUPS")?.try_into()?,
            executables: take("EXECUTABLES")?.try_into()?,
        })
    }

    /// Removes a policy from a slot that is not in force.
    pub(super) fn clear(&mut self, slot: Slot) -> Result<()> {
        remove_where(&mut self.zones, |key| key.slot == slot)?;
        remove_where(&mut self.ingress_policy, |key| key.slot == slot)?;
        remove_where(&mut self.demands, |key| key.slot == slot)?;
        remove_where(&mut self.protocols, |key| key.slot == slot)?;
        remove_where(&mut self.users, |key| key.slot == slot)?;
        remove_where(&mut self.cgroups, |key| key.slot == slot)?;
        remove_where(&mut self.executables, |key| key.slot == slot)?;
        let prefix = |key: PrefixKey| key.slot == PrefixKey::new(slot, Address::UNSPECIFIED).slot;
        prune(&mut self.destinations, prefix)?;
        prune(&mut self.sources, prefix)?;
        let port = |key: PortKey| key.slot == PortKey::new(slot, 0).slot;
        prune(&mut self.ports, port)?;
        prune(&mut self.source_ports, port)
    }

    /// Has the policy of a slot enforced until this instant. All else in its entry is written as it is there.
    ///
    /// # Errors
    ///
    /// When the map cannot be read or written.
    pub(super) fn enforce(&mut self, slot: Slot, until: u64) -> Result<()> {
        let mut active = self.policies.get(&slot, 0)?;
        active.enforce_until = until;
        self.policies.set(slot, active, 0)?;
        Ok(())
    }

    /// Writes a policy into a slot that is not in force.
    ///
    /// # Errors
    ///
    /// When a table is full.
    pub(super) fn write(
        &mut self,
        policy: &Policy,
        slot: Slot,
        generation: u32,
        more: &More,
    ) -> Result<Written> {
        // All of them: a dimension that has no map does not compile.
        let Compiled {
            mut active,
            demands,
            destinations,
            sources,
            ports,
            source_ports,
            protocols,
            users,
            cgroups: paths,
            executables: files,
        } = compile(policy, slot, generation);
        active.enforce_until = more.enforce_until;
        if more.learns {
            active.dimensions |= LEARNED;
        }
        fill(&mut self.demands, demands)?;
        fill(&mut self.protocols, protocols)?;
        fill(&mut self.users, users)?;
        plant(&mut self.destinations, &destinations)?;
        plant(&mut self.sources, &sources)?;
        plant(&mut self.ports, &ports)?;
        plant(&mut self.source_ports, &source_ports)?;
        let (named, unresolved) = Named::look_up(paths.named, files)?;
        self.write_named(&named, slot)?;
        self.policies
            .set(slot, active, 0)
            .context("the policy cannot be written")?;
        Ok(Written {
            dimensions: active.dimensions,
            named,
            unresolved,
        })
    }

    /// Writes what a policy names by a path into a slot.
    ///
    /// # Errors
    ///
    /// When a table is full.
    pub(super) fn write_named(&mut self, named: &Named, slot: Slot) -> Result<()> {
        fill(&mut self.cgroups, named.cgroups(slot))?;
        fill(&mut self.executables, named.executables(slot))
    }
}

fn fill<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    entries: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    for (key, value) in entries {
        map.insert(key, value, 0)
            .context("a table of the policy is full")?;
    }
    Ok(())
}

fn plant<K: Pod>(trie: &mut LpmTrie<MapData, K, RuleSet>, entries: &[TrieEntry<K>]) -> Result<()> {
    for entry in entries {
        trie.insert(&Key::new(entry.length, entry.key), entry.rules, 0)
            .context("a table of the policy is full")?;
    }
    Ok(())
}

fn remove_where<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    gone: impl Fn(&K) -> bool,
) -> Result<()> {
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>()?;
    for key in keys.iter().filter(|key| gone(key)) {
        let _ = map.remove(key);
    }
    Ok(())
}

fn prune<K: Pod>(trie: &mut LpmTrie<MapData, K, RuleSet>, gone: impl Fn(K) -> bool) -> Result<()> {
    let keys: Vec<Key<K>> = trie.keys().collect::<Result<_, _>>()?;
    for key in keys.iter().filter(|key| gone(key.data())) {
        let _ = trie.remove(key);
    }
    Ok(())
}

/// The key of what is said of an interface for the policy in a slot.
pub(super) fn interface_key(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> InterfaceKey {
    InterfaceKey {
        netns,
        interface,
        slot,
    }
}
