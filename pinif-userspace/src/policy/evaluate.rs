//! The policy judged in userspace, by the decision that the programs make: [`compile`]'s tables, and what is published of a
//! namespace, held in memory and asked by the same code.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use pinif_ebpf::{
    key::{Address, IfIndex},
    packet::Packet,
    policy::{Demand, NO_RULE, RuleSet, Slot, Tables, ZoneSet},
    verdict::{
        Decision, Traffic, World,
        arrival::{
            Arrival, IngressPolicy, Premises, decide_arrival, reply_to, rules_for_reply, suspect,
        },
        decide,
    },
};

use super::{
    compile::{Compiled, compile},
    dimension::{self, Dimension, LookUpFile, for_each_dimension},
    ingress_policy,
    membership::membership,
    model::Policy,
};
use crate::host::{executables::Mounts, lower_devices::lower_devices, network::Network};

pub use super::file_id::FileId;

/// A policy, as the programs have it in force.
#[derive(Debug)]
pub struct InForce {
    compiled: Compiled,
    answers: Answers,
    demands: Vec<Demand>,
}

macro_rules! answers {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// What the tables answer.
        #[derive(Debug)]
        struct Answers {
            $($field: <dimension::$dimension as Dimension>::Answers,)*
        }

        impl Answers {
            fn of(compiled: &Compiled, file: &LookUpFile<'_>) -> Self {
                Self {
                    $($field: dimension::$dimension::answers(&compiled.$field, file),)*
                }
            }
        }
    };
}
for_each_dimension!(answers);

/// Who sends, as far as rules look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The user whom the socket belongs to; none without a socket.
    pub user: Option<u32>,
    /// The cgroup that the socket was made in: a path in the v2 hierarchy.
    pub cgroup: Option<String>,
    /// The program that made the socket.
    pub executable: Option<FileId>,
}

/// What is published of a namespace: the lower devices, whose alone an address is, and the zones of its interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    lower_devices: BTreeSet<(IfIndex, IfIndex)>,
    /// Every local address, with the interface that alone has it, or none.
    owners: HashMap<Address, IfIndex>,
    zones: BTreeMap<IfIndex, ZoneSet>,
    /// By which nothing leaves.
    ends: BTreeSet<IfIndex>,
    /// What may arrive by each interface.
    ingress: BTreeMap<IfIndex, IngressPolicy>,
}

impl InForce {
    /// A policy that comes into force now. Programs that it names and that are not there match nothing.
    pub fn new(policy: &Policy) -> Self {
        let mounts = LazyCell::new(Mounts::here);
        Self::with(policy, |path| FileId::at(path, &mounts).ok())
    }

    /// A policy that is tried on what was sent before, by programs that need not be there any more: each is known by its path.
    pub fn by_path(policy: &Policy) -> Self {
        Self::with(policy, |path| Some(FileId::named(path)))
    }

    fn with(policy: &Policy, file: impl Fn(&Path) -> Option<FileId>) -> Self {
        let compiled = compile(policy, 0, 0);
        let mut demands = vec![Demand::NONE; policy.rules.len()];
        for (key, demand) in &compiled.demands {
            if let Some(place) = demands.get_mut(key.rule as usize) {
                *place = *demand;
            }
        }
        Self {
            answers: Answers::of(&compiled, &file),
            demands,
            compiled,
        }
    }

    /// Whether some rule looks at a dimension ([`pinif_ebpf::policy::dimension`]).
    pub fn looks_at(&self, dimension: u32) -> bool {
        self.compiled.active.dimensions & dimension != 0
    }

    /// The verdict on one packet of a sender, in these surroundings.
    pub fn judge(
        &self,
        traffic: &Traffic<'_>,
        sender: &Sender,
        surroundings: &Surroundings,
    ) -> Decision {
        let world = Case {
            policy: self,
            sender,
            surroundings,
        };
        decide(traffic, &self.compiled.active, &world)
    }

    /// The verdict on one packet that arrives by an interface, for a socket of this receiver.
    pub fn judge_arrival(
        &self,
        packet: &Packet,
        by: IfIndex,
        receiver: &Sender,
        surroundings: &Surroundings,
    ) -> Decision {
        let world = Case {
            policy: self,
            sender: receiver,
            surroundings,
        };
        let active = &self.compiled.active;
        let Some(ingress) = surroundings.ingress.get(&by) else {
            return Decision::CONTAINED;
        };
        let suspicion = suspect(&packet.source, &packet.destination, ingress, active, &world);
        if !suspicion.is_some() {
            return Decision::CONTAINED;
        }
        let rules = rules_for_reply(&reply_to(packet), suspicion, ingress, active, &world);
        let arrival = Arrival {
            suspicion,
            rules,
            is_taken: true,
        };
        decide_arrival(&arrival, ingress, active, &world)
    }
}

/// The number of the rule that decided, in the order of the file.
pub fn rule_of(decision: &Decision) -> Option<usize> {
    (decision.rule != NO_RULE).then_some(decision.rule.into())
}

impl Surroundings {
    /// Those of a namespace under a policy.
    pub fn of(network: &Network, policy: &Policy) -> Self {
        let local = network.addresses.iter();
        let local = local.map(|local| (Address::from(local.address), IfIndex::NONE));
        let owners = network.sole_owners();
        let owners = owners.map(|(address, owner)| (Address::from(address), owner));
        let lower_devices = lower_devices(&network.links);
        Self {
            zones: zones(network, policy, &lower_devices),
            owners: local.chain(owners).collect(),
            lower_devices,
            ingress: ingress_policy::of(network, policy),
            ends: network
                .links
                .iter()
                .filter(|link| network.links.leads_nowhere(link))
                .map(|link| link.index)
                .collect(),
        }
    }

    /// The zones that an interface is in, with those of the interfaces that it carries.
    pub fn zones_of(&self, interface: IfIndex) -> ZoneSet {
        self.zones.get(&interface).copied().unwrap_or_default()
    }
}

/// The zones of every interface: its own, and those of the interfaces that it carries, as the network's
/// [`lower_devices`] say.
pub fn zones(
    network: &Network,
    policy: &Policy,
    lower_devices: &BTreeSet<(IfIndex, IfIndex)>,
) -> BTreeMap<IfIndex, ZoneSet> {
    let own = membership(&network.links, policy);
    let mut zones = own.clone();
    for (upper, lower) in lower_devices {
        if let (Some(upper), Some(lower)) = (own.get(upper), zones.get_mut(lower)) {
            lower.0 |= upper.0;
        }
    }
    zones
}

/// What the decision asks.
struct Case<'a> {
    policy: &'a InForce,
    sender: &'a Sender,
    surroundings: &'a Surroundings,
}

impl World for Case<'_> {
    fn is_lower_of(&self, lower: IfIndex, upper: IfIndex) -> bool {
        self.surroundings.lower_devices.contains(&(upper, lower))
    }

    fn sole_owner(&self, address: &Address) -> IfIndex {
        let owner = self.surroundings.owners.get(address);
        owner.copied().unwrap_or(IfIndex::NONE)
    }

    fn zones(&self, _: Slot, interface: IfIndex) -> ZoneSet {
        self.surroundings.zones_of(interface)
    }

    fn leads_nowhere(&self, _: Slot, interface: IfIndex) -> bool {
        self.surroundings.ends.contains(&interface)
    }
}

impl Premises for Case<'_> {
    fn owner(&self, address: &Address) -> Option<IfIndex> {
        self.surroundings.owners.get(address).copied()
    }

    fn ingress_policy(&self, _: Slot, interface: IfIndex) -> Option<&IngressPolicy> {
        self.surroundings.ingress.get(&interface)
    }
}

impl Tables for Case<'_> {
    fn by_destination(&self, _: Slot, address: &Address) -> Option<RuleSet> {
        self.policy.answers.destinations.of_address(address)
    }

    fn by_source(&self, _: Slot, address: &Address) -> Option<RuleSet> {
        self.policy.answers.sources.of_address(address)
    }

    fn by_port(&self, _: Slot, port: u16) -> Option<RuleSet> {
        self.policy.answers.ports.of_port(port)
    }

    fn by_source_port(&self, _: Slot, port: u16) -> Option<RuleSet> {
        self.policy.answers.source_ports.of_port(port)
    }

    fn by_protocol(&self, _: Slot, protocol: u8) -> Option<RuleSet> {
        self.policy.answers.protocols.get(&protocol.into()).copied()
    }

    fn by_user(&self, _: Slot) -> Option<RuleSet> {
        self.policy.answers.users.get(&self.sender.user?).copied()
    }

    fn by_cgroup(&self, _: Slot) -> Option<RuleSet> {
        let path = self.sender.cgroup.as_deref()?;
        Some(self.policy.answers.cgroups.rules_of(path))
    }

    fn by_executable(&self, _: Slot) -> Option<RuleSet> {
        let file = self.sender.executable?;
        self.policy.answers.executables.get(&file).copied()
    }

    fn demand(&self, _: Slot, rule: u16) -> Option<Demand> {
        self.policy.demands.get(usize::from(rule)).copied()
    }
}

#[cfg(test)]
mod tests;
