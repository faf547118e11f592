//! What userspace writes before the first packet, by its own code: the policy, and what it publishes of two interfaces.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use aya::Pod;
use pinif_ebpf::{
    key::{AddressKey, IfIndex, InterfaceKey, NetNsCookie},
    lower_devices::DeviceKey,
    policy::InForce,
};
use pinif_interpreter::Machine;
use pinif_userspace::{
    host::{addresses::LocalAddress, links::Link, network::Network},
    kernel::interface_zones,
    policy::{
        Policy,
        compile::{Compiled, TrieEntry, compile},
        ingress_policy,
    },
};

/// An interface of the host.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    pub index: IfIndex,
    pub name: &'static str,
    pub address: Ipv4Addr,
}

/// The interface to the other cards, and the one to the outside.
pub const FAB0: Interface = Interface {
    index: IfIndex(2),
    name: "fab0",
    address: Ipv4Addr::new(10, 0, 0, 1),
};
pub const ETH1: Interface = Interface {
    index: IfIndex(3),
    name: "eth1",
    address: Ipv4Addr::new(192, 0, 2, 1),
};
pub const INTERFACES: [Interface; 2] = [FAB0, ETH1];

/// Control traffic stays on the backplane.
pub const CONTROL_PLANE: &str = r#"
[zone.backplane]
interfaces = ["fab*"]
contained = true

[zone.front]
interfaces = ["eth*"]

[[rule]]
name = "control-plane"
destination = ["10.0.0.0/8"]
only_via = ["backplane"]
"#;

/// Writes a policy, and the interfaces.
///
/// # Errors
///
/// Where the policy is none, or a map is missing or has another shape.
pub fn write(machine: &mut Machine, policy: &str, netns: NetNsCookie) -> Result<()> {
    let policy = Policy::parse(policy, "policy").map_err(|errors| anyhow::anyhow!("{errors}"))?;
    // The first policy is in the slot that is not in force at the start.
    let slot = 1 - InForce::default().slot();
    let Compiled {
        active,
        demands,
        destinations,
        sources,
        ports,
        source_ports,
        protocols,
        users,
        cgroups,
        executables,
    } = compile(&policy, slot, 1);
    ensure!(
        cgroups.named.is_empty() && executables.is_empty(),
        "a policy that names files"
    );
    insert_all(machine, "DEMANDS", &demands)?;
    insert_all(machine, "PROTOCOLS", &protocols)?;
    insert_all(machine, "USERS", &users)?;
    plant(machine, "DESTINATIONS", &destinations)?;
    plant(machine, "SOURCES", &sources)?;
    plant(machine, "PORTS", &ports)?;
    plant(machine, "SOURCE_PORTS", &source_ports)?;
    insert(machine, "POLICIES", &slot, &active)?;
    publish(machine, &policy, slot, netns)?;
    let in_force = InForce::default().next(slot, active.dimensions);
    insert(machine, "IN_FORCE", &0u32, &in_force.0)
}

/// Writes what is published of the interfaces for a policy.
fn publish(machine: &mut Machine, policy: &Policy, slot: u32, netns: NetNsCookie) -> Result<()> {
    let network = network();
    let key = |interface| InterfaceKey {
        netns,
        interface,
        slot,
    };
    for (index, zones) in interface_zones(&network, policy, |_| false) {
        insert(machine, "ZONES", &key(index), &zones)?;
    }
    for (index, allows) in ingress_policy::of(&network, policy) {
        insert(machine, "INGRESS_POLICY", &key(index), &allows)?;
    }
    for (address, index) in network.sole_owners() {
        let address = AddressKey {
            netns,
            address: address.into(),
        };
        insert(machine, "ADDRESSES", &address, &index)?;
    }
    for link in network.links.iter() {
        let device = DeviceKey {
            netns,
            device: link.index,
            _pad: 0,
        };
        insert(machine, "NAMES", &device, &link.kernel_name)?;
    }
    Ok(())
}

/// The interfaces, as userspace knows them.
fn network() -> Network {
    let mut network = Network::default();
    for interface in INTERFACES {
        let link = Link {
            up: true,
            running: true,
            ..Link::new(interface.index, interface.name)
        };
        network.links.insert(link);
        network.addresses.insert(LocalAddress {
            address: interface.address.into(),
            index: interface.index,
            prefix_len: 24,
        });
    }
    network
}

/// The bytes of a record.
pub fn bytes<T: Pod>(record: &T) -> &[u8] {
    // SAFETY: a `Pod` has no padding, so that each of its bytes is initialized.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast(), size_of::<T>()) }
}

/// The record that bytes are.
///
/// # Errors
///
/// Where they are too few.
pub fn record<T: Pod>(bytes: &[u8]) -> Result<T> {
    ensure!(bytes.len() == size_of::<T>(), "{} bytes", bytes.len());
    // SAFETY: any bytes are a valid `Pod`, and these are as many.
    Ok(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

fn insert<K: Pod, V: Pod>(machine: &mut Machine, map: &str, key: &K, value: &V) -> Result<()> {
    machine
        .insert(map, bytes(key), bytes(value))
        .with_context(|| format!("the map {map}"))
}

fn insert_all<K: Pod, V: Pod>(machine: &mut Machine, map: &str, all: &[(K, V)]) -> Result<()> {
    all.iter()
        .try_for_each(|(key, value)| insert(machine, map, key, value))
}

fn plant<K: Pod>(machine: &mut Machine, map: &str, entries: &[TrieEntry<K>]) -> Result<()> {
    entries.iter().try_for_each(|entry| {
        let key = [&entry.length.to_ne_bytes(), bytes(&entry.key)].concat();
        machine.insert(map, &key, bytes(&entry.rules))
    })
}
