//! What arrives: whether a packet for this host comes in by an interface that it may come in by. The mirror image of
//! [`decide`](super::decide), in two steps, since most of what arrives is acquitted by its addresses alone.

use super::{Decision, Kind, Severity};
use crate::{
    enforce::Action,
    key::{Address, IfIndex},
    packet::{Packet, protocol},
    policy::{
        Active, Dimension, NO_RULE, RuleSet, Slot, Tables, ZoneSet, rules_for, rules_of_owner,
    },
};

/// An interface as a place to arrive at, under one of the policies in the tables.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngressPolicy {
    /// The contained zones that it is in: what is sent to an address that it alone has is their traffic.
    pub protected: ZoneSet,
    /// The contained zones whose traffic may arrive by it: its own, those of the interfaces that it carries, and those of
    /// its ports, which were asked before it.
    pub allowed: ZoneSet,
    /// The rules that demand zones of which none is its own, by the same reckoning.
    pub unmet_rules: RuleSet,
    /// The VRF that it is in, or that it is; none outside them. What is addressed to an interface of a VRF is local to that
    /// one alone (`l3mdev`).
    pub l3mdev: IfIndex,
    /// Zero.
    pub _pad: u32,
}

impl IngressPolicy {
    /// Whether nothing that arrives here can be amiss.
    #[inline(always)]
    pub const fn is_open(&self, contained: ZoneSet) -> bool {
        self.unmet_rules.is_empty() && contained.is_within(self.allowed)
    }
}

/// What pinif knows of the namespace that a packet arrives in.
pub trait Premises: Tables {
    /// The interface that alone has this local address; [`IfIndex::NONE`] where several have it, or a loopback device;
    /// nothing where it is not local.
    fn owner(&self, address: &Address) -> Option<IfIndex>;
    /// What may arrive by an interface.
    fn ingress_policy(&self, slot: Slot, interface: IfIndex) -> Option<&IngressPolicy>;
}

/// What the addresses of a packet say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The interface whose contained zone it should have arrived in; none if it did, or is addressed to no such one.
    pub owner: IfIndex,
    /// Whether a rule keeps its reply to zones that this interface is not in.
    pub by_rule: bool,
}

impl Suspicion {
    /// None.
    pub const NONE: Self = Self {
        owner: IfIndex::NONE,
        by_rule: false,
    };

    /// Whether there is any.
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.owner.is_some() || self.by_rule
    }
}

/// Looks at the addresses of a packet that arrives at `ingress`.
///
/// What is not for a local unicast address is judged where it leaves, if it is forwarded; and groups belong to no
/// interface. A link-local address (RFC 4291, 2.5.6) means the link that it is used on, of whichever interface, and has
/// nothing to do with another. What comes from the host's own address is no answer of anybody else.
#[inline(always)]
pub fn suspect(
    source: &Address,
    destination: &Address,
    ingress: &IngressPolicy,
    active: &Active,
    world: &impl Premises,
) -> Suspicion {
    let Some(owner) = world.owner(destination) else {
        return Suspicion::NONE;
    };
    if is_link_local(destination) {
        return Suspicion::NONE;
    }
    let slot = active.slot;
    let mut suspicion = Suspicion::NONE;
    if owner.is_some()
        && let Some(home) = world.ingress_policy(slot, owner)
    {
        if home.l3mdev.is_some() && home.l3mdev.0 != ingress.l3mdev.0 {
            // To this interface's routing table it is a foreign address.
            return Suspicion::NONE;
        }
        if !home.protected.is_empty() && !home.protected.intersects(ingress.allowed) {
            suspicion.owner = owner;
        }
    }
    if !ingress.unmet_rules.is_empty() && !is_link_local(source) && !source.is_unspecified() {
        let mut rules = active.any_destination;
        if active.looks_at(Dimension::Destination) {
            rules = world
                .by_destination(slot, source)
                .unwrap_or(active.any_destination);
        }
        rules = rules.intersection(ingress.unmet_rules);
        if active.looks_at(Dimension::Source) {
            let found = world.by_source(slot, destination);
            rules = rules.intersection(found.unwrap_or(active.any_source));
        }
        suspicion.by_rule = !rules.is_empty() && world.owner(source).is_none();
    }
    suspicion
}

/// Whether an address is an IPv6 link-local one (`fe80::/10`).
#[inline(always)]
const fn is_link_local(address: &Address) -> bool {
    address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80
}

/// Whether this type of an ICMP message is an error: nothing may answer it, and any router may send it, from any of its
/// addresses (RFC 1122, 3.2.2; RFC 4443, 2.1).
#[inline(always)]
pub const fn is_icmp_error(protocol: u8, kind: u8) -> bool {
    match protocol {
        protocol::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        protocol::ICMPV6 => kind < 128,
        _ => false,
    }
}

/// The packet that would answer this one: addresses and ports exchanged.
#[inline(always)]
pub const fn reply_to(packet: &Packet) -> Packet {
    let has_ports = protocol::has_ports(packet.protocol);
    Packet {
        source: packet.destination,
        destination: packet.source,
        source_port: if has_ports {
            packet.destination_port
        } else {
            0
        },
        destination_port: if has_ports { packet.source_port } else { 0 },
        protocol: packet.protocol,
        later_fragment: packet.later_fragment,
        icmp_type: 0,
        tos: 0,
    }
}

/// The rules for the reply to a packet under suspicion, whoever sends that reply: where at least one is not kept here, or where one may
/// allow what arrived for another zone. Otherwise none.
#[inline(always)]
pub fn rules_for_reply(
    reply: &Packet,
    suspicion: Suspicion,
    ingress: &IngressPolicy,
    active: &Active,
    tables: &impl Tables,
) -> RuleSet {
    let may_be_allowed = suspicion.owner.is_some() && active.has_exceptions != 0;
    if !suspicion.by_rule && !may_be_allowed {
        return RuleSet::EMPTY;
    }
    let rules = rules_for(tables, active, reply);
    if may_be_allowed || !rules.intersection(ingress.unmet_rules).is_empty() {
        rules
    } else {
        RuleSet::EMPTY
    }
}

/// A packet under suspicion, and who would receive it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// What its addresses say.
    pub suspicion: Suspicion,
    /// The rules for its reply, by what is in the packet ([`rules_for_reply`]).
    pub rules: RuleSet,
    /// Whether a socket takes it, or perhaps the kernel itself; not where the kernel's look-up finds no socket.
    pub is_taken: bool,
}

/// Judges a packet under suspicion. What a rule allows to be answered may arrive.
///
/// A zone's traffic that arrives outside it is reported in any case, as a risk where no socket receives it. A rule speaks of what is
/// delivered: of whatever else others send to an open port of a network, and from whichever port, it says nothing.
#[inline(always)]
pub fn decide_arrival(
    arrival: &Arrival,
    ingress: &IngressPolicy,
    active: &Active,
    tables: &impl Tables,
) -> Decision {
    let mut decision = Decision::CONTAINED;
    let rules = rules_of_owner(tables, active, arrival.rules);
    let first = rules.first().unwrap_or(NO_RULE);
    if active.has_exceptions != 0
        && first != NO_RULE
        && let Some(demand) = tables.demand(active.slot, first)
        && matches!(demand.action(), Action::Allow)
    {
        return decision;
    }
    let Suspicion { owner, by_rule } = arrival.suspicion;
    let breaks_rule = by_rule && arrival.is_taken && ingress.unmet_rules.contains(first as usize);
    if owner.is_some() || breaks_rule {
        decision.kind = Kind::IngressEscape as u8;
        decision.severity = if arrival.is_taken {
            Severity::Leak as u8
        } else {
            Severity::Risk as u8
        };
        decision.source_owner = owner;
        decision.rule = if breaks_rule { first } else { NO_RULE };
    }
    decision
}

/// What the kernel says at this instant of the interface that a packet arrived by: what userspace published may be some milliseconds old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrivalRecheck {
    /// It, or one that it is a lower device of, has the destination address.
    pub has_destination: bool,
    /// One of these has a name that userspace does not know yet: its zones may be any.
    pub is_unknown: bool,
}

impl Decision {
    /// The decision on a packet that arrived, had all been known that `live` has.
    #[inline(always)]
    pub const fn reconsidered_arrival(&self, live: ArrivalRecheck) -> Self {
        let is_of_zone = self.source_owner.is_some() && !live.has_destination;
        let is_held = !live.is_unknown && (is_of_zone || self.rule != NO_RULE);
        if !is_held {
            return Self::CONTAINED;
        }
        Self {
            source_owner: if is_of_zone {
                self.source_owner
            } else {
                IfIndex::NONE
            },
            ..*self
        }
    }
}

const _: () = assert!(size_of::<IngressPolicy>() == 56);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
unsafe impl aya::Pod for IngressPolicy {}

#[cfg(test)]
mod tests;
