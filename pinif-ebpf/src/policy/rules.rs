//! Which rule decides: the tables' answers, intersected.

use super::{Active, Demand, Dimension, NO_RULE, RuleSet, Slot};
use crate::{key::Address, packet::Packet};

/// What the policy's tables answer for a value; nothing where they do not hold it.
pub trait Tables {
    /// By destination address.
    fn by_destination(&self, slot: Slot, address: &Address) -> Option<RuleSet>;
    /// By source address.
    fn by_source(&self, slot: Slot, address: &Address) -> Option<RuleSet>;
    /// By destination port, in host byte order.
    fn by_port(&self, slot: Slot, port: u16) -> Option<RuleSet>;
    /// By source port, in host byte order.
    fn by_source_port(&self, slot: Slot, port: u16) -> Option<RuleSet>;
    /// By IP protocol.
    fn by_protocol(&self, slot: Slot, protocol: u8) -> Option<RuleSet>;
    /// By the user id of the packet's socket; nothing without a socket.
    fn by_user(&self, slot: Slot) -> Option<RuleSet>;
    /// By the cgroup of the packet's socket and those above it; nothing without a socket.
    fn by_cgroup(&self, slot: Slot) -> Option<RuleSet>;
    /// By the executable of the packet's process; nothing without one.
    fn by_executable(&self, slot: Slot) -> Option<RuleSet>;
    /// What a rule demands.
    fn demand(&self, slot: Slot, rule: u16) -> Option<Demand>;
}

/// The rule that decides for this packet, and what it demands: the first in the file of those that match in every
/// dimension; [`NO_RULE`] and [`Demand::NONE`] if none does.
#[inline(always)]
pub(crate) fn decide_rule(tables: &impl Tables, active: &Active, packet: &Packet) -> (u16, Demand) {
    if active.rules == 0 {
        return (NO_RULE, Demand::NONE);
    }
    let rules = rules_of_owner(tables, active, rules_for(tables, active, packet));
    match rules.first() {
        Some(rule) => {
            let demand = tables.demand(active.slot, rule);
            (rule, demand.unwrap_or(Demand::NONE))
        }
        None => (NO_RULE, Demand::NONE),
    }
}

/// The rules that match a packet by what is in it, whoever sends or takes it.
#[inline(always)]
pub(crate) fn rules_for(tables: &impl Tables, active: &Active, packet: &Packet) -> RuleSet {
    let slot = active.slot;
    // Fragments after the first carry no ports, and are of no port: not even of port zero.
    let ported = !packet.later_fragment;
    let mut rules = active.any_destination;
    if active.looks_at(Dimension::Destination) {
        rules = tables
            .by_destination(slot, &packet.destination)
            .unwrap_or(active.any_destination);
    }
    if active.looks_at(Dimension::Source) {
        let found = tables.by_source(slot, &packet.source);
        rules = rules.intersection(found.unwrap_or(active.any_source));
    }
    if active.looks_at(Dimension::Protocol) {
        let found = tables.by_protocol(slot, packet.protocol);
        rules = rules.intersection(found.unwrap_or(active.any_protocol));
    }
    if active.looks_at(Dimension::Port) {
        let found = ported.then(|| tables.by_port(slot, packet.destination_port));
        rules = rules.intersection(found.flatten().unwrap_or(active.any_port));
    }
    if active.looks_at(Dimension::SourcePort) {
        let found = ported.then(|| tables.by_source_port(slot, packet.source_port));
        rules = rules.intersection(found.flatten().unwrap_or(active.any_source_port));
    }
    rules
}

/// Those of the rules that match the owner of the packet's socket, too.
#[inline(always)]
pub(crate) fn rules_of_owner(tables: &impl Tables, active: &Active, rules: RuleSet) -> RuleSet {
    let slot = active.slot;
    let mut rules = rules;
    if active.looks_at(Dimension::User) {
        rules = rules.intersection(tables.by_user(slot).unwrap_or(active.any_user));
    }
    if active.looks_at(Dimension::Cgroup) {
        rules = rules.intersection(tables.by_cgroup(slot).unwrap_or(active.any_cgroup));
    }
    if active.looks_at(Dimension::Executable) {
        let found = tables.by_executable(slot);
        rules = rules.intersection(found.unwrap_or(active.any_executable));
    }
    rules
}
