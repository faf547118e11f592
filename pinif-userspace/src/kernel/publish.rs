//! Telling the kernel what the host is like and what the policy demands. Everything is prepared in the maps first; a
//! policy takes effect in one step.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, LpmTrie, MapData, lpm_trie::Key},
};
use pinif_ebpf::{
    carrier::CarrierKey,
    key::{Address, AddressKey, IfIndex, InterfaceKey, NetNsCookie},
    policy::{
        Active, CgroupKey, Demand, DemandKey, ExecutableKey, InterfaceZones, NumberKey, PortKey,
        PrefixKey, RuleSet, Slot, ZoneSet,
    },
};

use crate::{
    host::{carriers::carriers, network::Network, processes},
    policy::{
        Policy,
        compile::{TrieEntry, compile},
    },
};

/// Writes the maps that the programs read.
pub struct Publisher {
    tables: Tables,
    /// What the maps hold of each namespace.
    published: BTreeMap<NetNsCookie, Published>,
    slot: Slot,
    generation: u32,
}

/// The maps, by their names in the programs.
struct Tables {
    carriers: HashMap<MapData, CarrierKey, u32>,
    addresses: HashMap<MapData, AddressKey, IfIndex>,
    zones: HashMap<MapData, InterfaceKey, InterfaceZones>,
    slot: Array<MapData, u64>,
    policies: Array<MapData, Active>,
    demands: HashMap<MapData, DemandKey, Demand>,
    destinations: LpmTrie<MapData, PrefixKey, RuleSet>,
    sources: LpmTrie<MapData, PrefixKey, RuleSet>,
    ports: LpmTrie<MapData, PortKey, RuleSet>,
    source_ports: LpmTrie<MapData, PortKey, RuleSet>,
    protocols: HashMap<MapData, NumberKey, RuleSet>,
    users: HashMap<MapData, NumberKey, RuleSet>,
    cgroups: HashMap<MapData, CgroupKey, RuleSet>,
    executables: HashMap<MapData, ExecutableKey, RuleSet>,
}

#[derive(Default)]
struct Published {
    carriers: BTreeSet<(IfIndex, IfIndex)>,
    addresses: BTreeMap<Address, IfIndex>,
    zones: BTreeMap<IfIndex, ZoneSet>,
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
        let mut take = |name: &str| {
            ebpf.take_map(name)
                .with_context(|| format!("the eBPF object has no map {name}"))
        };
        Ok(Self {
            tables: Tables {
                carriers: take("CARRIERS")?.try_into()?,
                addresses: take("ADDRESSES")?.try_into()?,
                zones: take("ZONES")?.try_into()?,
                slot: take("SLOT")?.try_into()?,
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
            },
            published: BTreeMap::new(),
            slot: 0,
            generation: 0,
        })
    }

    /// The number of the policy in force, as sightings name it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Makes the maps say of a namespace what it is like now. Only what changed is written; what is new before what is
    /// gone, so that nothing is unknown in between.
    ///
    /// # Errors
    ///
    /// When a map is full.
    pub fn network(
        &mut self,
        netns: NetNsCookie,
        network: &Network,
        policy: &Policy,
    ) -> Result<()> {
        let now = Published {
            carriers: carriers(&network.links),
            addresses: addresses(network),
            zones: zones(network, policy),
        };
        let slot = self.slot;
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
        let address =
            |(&address, &owner): (&Address, &IfIndex)| (AddressKey { netns, address }, owner);
        sync(
            &mut tables.addresses,
            before.addresses.iter().map(address),
            now.addresses.iter().map(address),
        )
        .context("the table of local addresses is full")?;
        let zone =
            |(&interface, &zones): (&IfIndex, &ZoneSet)| zone_entry(netns, slot, interface, zones);
        sync(
            &mut tables.zones,
            before.zones.iter().map(zone),
            now.zones.iter().map(zone),
        )
        .context("the table of interfaces is full")?;
        *before = now;
        Ok(())
    }

    /// Forgets a namespace that is gone.
    pub fn forget(&mut self, netns: NetNsCookie) {
        let Some(gone) = self.published.remove(&netns) else {
            return;
        };
        let slot = self.slot;
        for pair in gone.carriers {
            let _ = self.tables.carriers.remove(&carrier(netns, pair));
        }
        for address in gone.addresses.into_keys() {
            let _ = self.tables.addresses.remove(&AddressKey { netns, address });
        }
        for (interface, zones) in gone.zones {
            let (key, _) = zone_entry(netns, slot, interface, zones);
            let _ = self.tables.zones.remove(&key);
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
        let slot = 1 - self.slot;
        let generation = self.generation.wrapping_add(1);
        self.tables.clear(slot)?;
        let mut unresolved = Vec::new();
        let mut zones_of = Vec::new();
        if let Err(error) = self
            .tables
            .write(policy, slot, generation, &mut unresolved)
            .and_then(|()| {
                for &(netns, network) in networks {
                    let zones = zones(network, policy);
                    for (&interface, &zones) in &zones {
                        let (key, value) = zone_entry(netns, slot, interface, zones);
                        self.tables
                            .zones
                            .insert(key, value, 0)
                            .context("the table of interfaces is full")?;
                    }
                    zones_of.push((netns, zones));
                }
                Ok(())
            })
        {
            self.tables.clear(slot)?;
            return Err(error);
        }
        // From this write on, packets see the new policy.
        self.tables
            .slot
            .set(0, u64::from(slot), 0)
            .context("the policy cannot be put into force")?;
        let old = std::mem::replace(&mut self.slot, slot);
        self.generation = generation;
        for (netns, zones) in zones_of {
            self.published.entry(netns).or_default().zones = zones;
        }
        // A packet that read the old slot is judged by it to its end before that is cleared.
        wait_for_running_programs();
        self.tables.clear(old)?;
        Ok(unresolved)
    }
}

impl Tables {
    /// Removes a policy from a slot that is not in force.
    fn clear(&mut self, slot: Slot) -> Result<()> {
        remove_where(&mut self.zones, |key| key.slot == slot)?;
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

    fn write(
        &mut self,
        policy: &Policy,
        slot: Slot,
        generation: u32,
        unresolved: &mut Vec<Unresolved>,
    ) -> Result<()> {
        let compiled = compile(policy, slot, generation);
        fill(&mut self.demands, compiled.demands)?;
        fill(&mut self.protocols, compiled.protocols)?;
        fill(&mut self.users, compiled.users)?;
        plant(&mut self.destinations, &compiled.destinations)?;
        plant(&mut self.sources, &compiled.sources)?;
        plant(&mut self.ports, &compiled.ports)?;
        plant(&mut self.source_ports, &compiled.source_ports)?;
        let mut cgroups = Vec::new();
        if !compiled.cgroups.named.is_empty() {
            let root = processes::cgroup2_root()?;
            for (path, rules) in compiled.cgroups.named {
                match processes::cgroup_id(&root.join(path.trim_start_matches('/'))) {
                    Ok(cgroup) => cgroups.push((
                        CgroupKey {
                            cgroup,
                            slot,
                            _pad: 0,
                        },
                        rules,
                    )),
                    Err(error) => unresolved.push(Unresolved {
                        what: format!("cgroup {path}"),
                        why: error.to_string(),
                    }),
                }
            }
        }
        fill(&mut self.cgroups, cgroups)?;
        let mut executables: BTreeMap<(u64, u32), RuleSet> = BTreeMap::new();
        for (path, rules) in compiled.executables {
            match identity(&path) {
                Ok(file) => {
                    let all = executables.entry(file).or_default();
                    *all = all.union(rules);
                }
                Err(error) => unresolved.push(Unresolved {
                    what: format!("executable {}", path.display()),
                    why: error.to_string(),
                }),
            }
        }
        let executables = executables.into_iter().map(|((inode, device), rules)| {
            (
                ExecutableKey {
                    inode,
                    device,
                    slot,
                },
                rules,
            )
        });
        fill(&mut self.executables, executables)?;
        self.policies
            .set(slot, compiled.active, 0)
            .context("the policy cannot be written")
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u32)> {
    let (device, inode) = processes::executable_identity(path)?;
    Ok((inode, device as u32))
}

fn carrier(netns: NetNsCookie, (upper, lower): (IfIndex, IfIndex)) -> CarrierKey {
    CarrierKey {
        netns,
        upper,
        lower,
    }
}

fn zone_entry(
    netns: NetNsCookie,
    slot: Slot,
    interface: IfIndex,
    zones: ZoneSet,
) -> (InterfaceKey, InterfaceZones) {
    (
        InterfaceKey {
            netns,
            interface,
            slot,
        },
        InterfaceZones { zones },
    )
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

/// The zones of every interface: its own, and those of the interfaces that it carries.
fn zones(network: &Network, policy: &Policy) -> BTreeMap<IfIndex, ZoneSet> {
    let mut zones: BTreeMap<IfIndex, ZoneSet> = network
        .links
        .iter()
        .map(|link| (link.index, policy.zones_of(&link.name)))
        .collect();
    for (upper, lower) in carriers(&network.links) {
        if let Some(link) = network.links.get(upper)
            && let Some(lower) = zones.get_mut(&lower)
        {
            lower.0 |= policy.zones_of(&link.name).0;
        }
    }
    zones.retain(|_, zones| !zones.is_empty());
    zones
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

/// Returns when every program that ran has ended: they run inside RCU read sections, and `MEMBARRIER_CMD_GLOBAL` is
/// `synchronize_rcu` (membarrier(2)).
pub fn wait_for_running_programs() {
    // SAFETY: the command has no argument that points anywhere.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
