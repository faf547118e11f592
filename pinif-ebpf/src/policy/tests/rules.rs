//! A policy in memory, as the tables would answer for it.

use std::collections::BTreeSet;

use crate::enforce::Action;

use super::super::{Active, Demand, RuleSet, Slot, Tables, ZoneSet, dimension};
use crate::{key::Address, packet::Packet};

/// The slot that every policy here is in: to ask for the other one is an error.
pub(crate) const SLOT: Slot = 1;

/// A rule. An empty set takes any value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) destinations: BTreeSet<Address>,
    pub(crate) sources: BTreeSet<Address>,
    pub(crate) ports: BTreeSet<u16>,
    pub(crate) source_ports: BTreeSet<u16>,
    pub(crate) protocols: BTreeSet<u8>,
    pub(crate) users: BTreeSet<u32>,
    pub(crate) cgroups: BTreeSet<u64>,
    pub(crate) executables: BTreeSet<u64>,
    /// What the table of demands holds for it.
    pub(crate) demand: Option<Demand>,
}

impl Rule {
    /// A rule for all traffic, of which the table of demands knows nothing.
    pub(crate) fn any() -> Self {
        Self::default()
    }

    pub(crate) fn to(mut self, destination: Address) -> Self {
        self.destinations.insert(destination);
        self
    }

    pub(crate) fn only_via(mut self, zones: &[usize]) -> Self {
        self.demand.get_or_insert(Demand::NONE).only_via = set(zones);
        self
    }

    pub(crate) fn pinned(mut self) -> Self {
        self.demand.get_or_insert(Demand::NONE).pinned = 1;
        self
    }

    pub(crate) fn allowed(mut self) -> Self {
        self.demand.get_or_insert(Demand::NONE).action = Action::Allow as u32;
        self
    }

    /// Whether the rule is for this packet of this sender, as docs/policy.md says it.
    pub(crate) fn is_for(&self, packet: &Packet, sender: &Sender) -> bool {
        fn takes<T: Ord>(wanted: &BTreeSet<T>, value: Option<T>) -> bool {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(&value))
        }
        takes(&self.destinations, Some(packet.destination))
            && takes(&self.sources, Some(packet.source))
            && takes(&self.ports, Some(packet.destination_port))
            && takes(&self.source_ports, Some(packet.source_port))
            && takes(&self.protocols, Some(packet.protocol))
            && takes(&self.users, sender.user)
            && takes(&self.cgroups, sender.cgroup)
            && takes(&self.executables, sender.executable)
    }
}

/// A set of zones by their numbers.
pub(crate) fn set(zones: &[usize]) -> ZoneSet {
    let mut set = ZoneSet::EMPTY;
    for &zone in zones {
        set.insert(zone);
    }
    set
}

/// Who sent a packet, as far as rules look at it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender {
    pub(crate) user: Option<u32>,
    pub(crate) cgroup: Option<u64>,
    pub(crate) executable: Option<u64>,
}

/// A policy: the rules in the order of the file, and the contained zones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) contained: ZoneSet,
}

impl Rules {
    /// The policy as the kernel holds it in force.
    pub(crate) fn active(&self) -> Active {
        let uses = |bit, used: fn(&Rule) -> bool| if self.rules.iter().any(used) { bit } else { 0 };
        Active {
            slot: SLOT,
            generation: 1,
            rules: u32::try_from(self.rules.len()).expect("few rules"),
            dimensions: uses(dimension::DESTINATION, |rule| !rule.destinations.is_empty())
                | uses(dimension::SOURCE, |rule| !rule.sources.is_empty())
                | uses(dimension::PORT, |rule| !rule.ports.is_empty())
                | uses(dimension::SOURCE_PORT, |rule| !rule.source_ports.is_empty())
                | uses(dimension::PROTOCOL, |rule| !rule.protocols.is_empty())
                | uses(dimension::USER, |rule| !rule.users.is_empty())
                | uses(dimension::CGROUP, |rule| !rule.cgroups.is_empty())
                | uses(dimension::EXECUTABLE, |rule| !rule.executables.is_empty()),
            contained: self.contained,
            enforce_until: 0,
            drops_unparsed: 1,
            has_exceptions: self
                .rules
                .iter()
                .any(|rule| {
                    rule.demand
                        .is_some_and(|demand| demand.action() == Action::Allow)
                })
                .into(),
            any_destination: self.that(|rule| rule.destinations.is_empty()),
            any_source: self.that(|rule| rule.sources.is_empty()),
            any_port: self.that(|rule| rule.ports.is_empty()),
            any_source_port: self.that(|rule| rule.source_ports.is_empty()),
            any_protocol: self.that(|rule| rule.protocols.is_empty()),
            any_user: self.that(|rule| rule.users.is_empty()),
            any_cgroup: self.that(|rule| rule.cgroups.is_empty()),
            any_executable: self.that(|rule| rule.executables.is_empty()),
        }
    }

    /// The tables, for packets of this sender.
    pub(crate) fn tables(&self, sender: Sender) -> InMemory<'_> {
        InMemory {
            policy: self,
            sender,
        }
    }

    fn that(&self, holds: impl Fn(&Rule) -> bool) -> RuleSet {
        let mut set = RuleSet::EMPTY;
        for (number, rule) in self.rules.iter().enumerate() {
            if holds(rule) {
                set.insert(number);
            }
        }
        set
    }
}

/// The tables of one policy. They panic when asked for the other slot, or in a dimension that no rule looks at.
pub(crate) struct InMemory<'a> {
    policy: &'a Rules,
    sender: Sender,
}

impl InMemory<'_> {
    /// The rules that a value satisfies; nothing where no rule names it.
    fn answer<T: Ord>(
        &self,
        slot: Slot,
        wanted: impl Fn(&Rule) -> &BTreeSet<T>,
        value: Option<T>,
    ) -> Option<RuleSet> {
        assert_eq!(slot, SLOT, "asked for the policy that is not in force");
        let rules = &self.policy.rules;
        assert!(
            rules.iter().any(|rule| !wanted(rule).is_empty()),
            "asked in a dimension that no rule looks at"
        );
        let value = value?;
        rules
            .iter()
            .any(|rule| wanted(rule).contains(&value))
            .then(|| {
                self.policy
                    .that(|rule| wanted(rule).is_empty() || wanted(rule).contains(&value))
            })
    }
}

impl Tables for InMemory<'_> {
    fn by_destination(&self, slot: Slot, address: &Address) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.destinations, Some(*address))
    }

    fn by_source(&self, slot: Slot, address: &Address) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.sources, Some(*address))
    }

    fn by_port(&self, slot: Slot, port: u16) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.ports, Some(port))
    }

    fn by_source_port(&self, slot: Slot, port: u16) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.source_ports, Some(port))
    }

    fn by_protocol(&self, slot: Slot, protocol: u8) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.protocols, Some(protocol))
    }

    fn by_user(&self, slot: Slot) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.users, self.sender.user)
    }

    fn by_cgroup(&self, slot: Slot) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.cgroups, self.sender.cgroup)
    }

    fn by_executable(&self, slot: Slot) -> Option<RuleSet> {
        self.answer(slot, |rule| &rule.executables, self.sender.executable)
    }

    fn demand(&self, slot: Slot, rule: u16) -> Option<Demand> {
        assert_eq!(slot, SLOT, "asked for the policy that is not in force");
        self.policy.rules.get(usize::from(rule))?.demand
    }
}

/// A host whose rules are in memory: it answers for them as they do.
pub(crate) trait Ruled {
    /// Its rules, for the packet's sender.
    fn tables(&self) -> InMemory<'_>;
}

impl<T: Ruled> Tables for T {
    fn by_destination(&self, slot: Slot, address: &Address) -> Option<RuleSet> {
        self.tables().by_destination(slot, address)
    }

    fn by_source(&self, slot: Slot, address: &Address) -> Option<RuleSet> {
        self.tables().by_source(slot, address)
    }

    fn by_port(&self, slot: Slot, port: u16) -> Option<RuleSet> {
        self.tables().by_port(slot, port)
    }

    fn by_source_port(&self, slot: Slot, port: u16) -> Option<RuleSet> {
        self.tables().by_source_port(slot, port)
    }

    fn by_protocol(&self, slot: Slot, protocol: u8) -> Option<RuleSet> {
        self.tables().by_protocol(slot, protocol)
    }

    fn by_user(&self, slot: Slot) -> Option<RuleSet> {
        self.tables().by_user(slot)
    }

    fn by_cgroup(&self, slot: Slot) -> Option<RuleSet> {
        self.tables().by_cgroup(slot)
    }

    fn by_executable(&self, slot: Slot) -> Option<RuleSet> {
        self.tables().by_executable(slot)
    }

    fn demand(&self, slot: Slot, rule: u16) -> Option<Demand> {
        self.tables().demand(slot, rule)
    }
}
