//! What is published of a namespace's interfaces and addresses, beside the policy's zones.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use pinif_ebpf::{
    intent::Name,
    key::{Address, AddressKey, IfIndex, NetNsCookie},
    lower_devices::{DeviceKey, LowerDeviceKey, flags},
    tunnel::TunnelKey,
};

use super::tables::Tables;
use crate::host::{
    links::Link,
    lower_devices::{bridges, lower_devices},
    network::Network,
    tunnels,
};

/// The entries of a namespace in the maps.
#[derive(Default)]
pub(super) struct Host {
    lower_devices: BTreeMap<LowerDeviceKey, u32>,
    bridges: BTreeMap<DeviceKey, IfIndex>,
    tunnels: BTreeMap<TunnelKey, u32>,
    addresses: BTreeMap<AddressKey, IfIndex>,
    names: BTreeMap<DeviceKey, Name>,
}

impl Host {
    /// What is to be published of a namespace. `audited` says which interfaces the programs are attached to.
    pub(super) fn of(
        netns: NetNsCookie,
        network: &Network,
        audited: impl Fn(IfIndex) -> bool,
    ) -> Self {
        let links = &network.links;
        let device = |device| DeviceKey {
            netns,
            device,
            _pad: 0,
        };
        let lower_device = |(upper, lower)| {
            let key = LowerDeviceKey {
                netns,
                upper,
                lower,
            };
            let unmarked = links.get(upper).is_some_and(|link| link.routes) && audited(upper);
            let counted = if unmarked { flags::COUNTED } else { 0 };
            (key, flags::IS_LOWER | counted)
        };
        let tunnel = |((upper, signature), said)| {
            let key = TunnelKey {
                netns,
                upper,
                signature,
            };
            (key, said)
        };
        let pairs = lower_devices(links);
        let mut lower_devices: BTreeMap<_, _> =
            pairs.iter().map(|&pair| lower_device(pair)).collect();
        // What a host's own leg sends into a bridge was counted on it.
        for (port, lower) in behind_legs(network, &pairs, &audited) {
            let key = LowerDeviceKey {
                netns,
                upper: port,
                lower,
            };
            *lower_devices.entry(key).or_default() |= flags::COUNTED;
        }
        let ports = bridges(links, &audited).into_iter();
        Self {
            lower_devices,
            bridges: ports.map(|(port, bridge)| (device(port), bridge)).collect(),
            tunnels: tunnels::outer(links, &audited)
                .into_iter()
                .map(tunnel)
                .collect(),
            addresses: addresses(network)
                .into_iter()
                .map(|(address, owner)| (AddressKey { netns, address }, owner))
                .collect(),
            names: links
                .iter()
                .map(|link| (device(link.index), link.kernel_name))
                .collect(),
        }
    }

    /// How many pairs of a device and one below it.
    pub(super) fn lower_devices(&self) -> usize {
        self.lower_devices.len()
    }

    /// How many addresses.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// How many names of interfaces.
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }

    /// What the maps hold, by namespace.
    pub(super) fn read(tables: &Tables) -> Result<BTreeMap<NetNsCookie, Self>> {
        let mut hosts: BTreeMap<NetNsCookie, Self> = BTreeMap::new();
        let all = &mut hosts;
        let netns = |key: &DeviceKey| key.netns;
        read(
            all,
            &tables.lower_devices,
            |key| key.netns,
            |host| &mut host.lower_devices,
        )?;
        read(all, &tables.bridges, netns, |host| &mut host.bridges)?;
        read(
            all,
            &tables.tunnels,
            |key| key.netns,
            |host| &mut host.tunnels,
        )?;
        read(
            all,
            &tables.addresses,
            |key| key.netns,
            |host| &mut host.addresses,
        )?;
        read(all, &tables.names, netns, |host| &mut host.names)?;
        Ok(hosts)
    }

    /// Writes what is new or other than `before`.
    pub(super) fn write(&self, before: &Self, tables: &mut Tables) -> Result<()> {
        let full = |table: &str| format!("the table of {table} is full");
        write(
            &mut tables.lower_devices,
            &before.lower_devices,
            &self.lower_devices,
        )
        .with_context(|| full("lower devices"))?;
        write(&mut tables.bridges, &before.bridges, &self.bridges)
            .with_context(|| full("bridges' ports"))?;
        write(&mut tables.tunnels, &before.tunnels, &self.tunnels)
            .with_context(|| full("tunnels"))?;
        write(&mut tables.addresses, &before.addresses, &self.addresses)
            .with_context(|| full("local addresses"))
    }

    /// Writes the names that are new. After the zones that come of them: until its name is there, the programs take an
    /// interface for one whose zones are not known.
    pub(super) fn write_names(&self, before: &Self, tables: &mut Tables) -> Result<()> {
        write(&mut tables.names, &before.names, &self.names).context("the table of names is full")
    }

    /// Removes what is gone since `before`. Lower devices last: while an address is still said to be that of an interface,
    /// the lower devices of that one are needed.
    pub(super) fn sweep(&self, before: &Self, tables: &mut Tables) {
        sweep(&mut tables.names, &before.names, &self.names);
        sweep(&mut tables.addresses, &before.addresses, &self.addresses);
        sweep(&mut tables.tunnels, &before.tunnels, &self.tunnels);
        sweep(&mut tables.bridges, &before.bridges, &self.bridges);
        sweep(
            &mut tables.lower_devices,
            &before.lower_devices,
            &self.lower_devices,
        );
    }

    /// How many ports of bridges there are, and how many headers of tunnels.
    pub(super) fn layers(&self) -> (u32, u32) {
        (self.bridges.len() as u32, self.tunnels.len() as u32)
    }
}

/// Reads a table's entries into that part of their namespaces' hosts.
fn read<K: Pod + Ord, V: Pod>(
    hosts: &mut BTreeMap<NetNsCookie, Host>,
    table: &HashMap<MapData, K, V>,
    netns: impl Fn(&K) -> NetNsCookie,
    part: impl Fn(&mut Host) -> &mut BTreeMap<K, V>,
) -> Result<()> {
    for entry in table.iter() {
        let (key, value) = entry?;
        part(hosts.entry(netns(&key)).or_default()).insert(key, value);
    }
    Ok(())
}

/// Writes the entries that are new or other.
pub(super) fn write<K: Pod + Ord, V: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, V>,
    before: &BTreeMap<K, V>,
    now: &BTreeMap<K, V>,
) -> Result<()> {
    for (key, value) in now {
        if before.get(key) != Some(value) {
            map.insert(key, value, 0)?;
        }
    }
    Ok(())
}

/// Removes the entries that are gone.
pub(super) fn sweep<K: Pod + Ord, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    before: &BTreeMap<K, V>,
    now: &BTreeMap<K, V>,
) {
    for key in before.keys().filter(|key| !now.contains_key(key)) {
        let _ = map.remove(key);
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

/// The interfaces whose packets are not counted once more below them, where they are audited: all others say so by a mark on each packet.
pub fn counted_above(netns: NetNsCookie, network: &Network) -> BTreeSet<IfIndex> {
    let asked = RefCell::new(BTreeSet::new());
    Host::of(netns, network, |index| {
        asked.borrow_mut().insert(index);
        true
    });
    asked.into_inner()
}

/// The ports by which an audited leg of the host's own sends into a bridge, each with what these packets leave by then.
fn behind_legs(
    network: &Network,
    lower_devices: &BTreeSet<(IfIndex, IfIndex)>,
    audited: impl Fn(IfIndex) -> bool,
) -> Vec<(IfIndex, IfIndex)> {
    let links = &network.links;
    let leg_of = |port: &Link| {
        let leg = links.get(port.peer?)?;
        let counts = links.bridge_behind(leg).is_some() && audited(leg.index);
        counts.then_some((port.index, leg.index))
    };
    let legs = links.iter().filter_map(leg_of);
    let behind = |(port, leg): (IfIndex, IfIndex)| {
        let pairs = lower_devices
            .iter()
            .filter(move |(upper, lower)| *upper == leg && *lower != port);
        pairs.map(move |&(_, lower)| (port, lower))
    };
    legs.flat_map(behind).collect()
}
