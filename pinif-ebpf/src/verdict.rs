//! What one packet is: contained, or one of the kinds, and the pure decision between them.

pub mod arrival;
mod inner;
mod kind;
mod recheck;

pub use kind::{ALLOWED, CellVerdict, Direction, Dropped, Kind, KindSet, Row, Severity, is_found};
pub use recheck::Recheck;

use crate::{
    heard::Replies,
    key::{Address, IfIndex},
    packet::Packet,
    policy::{Active, Demand, NO_RULE, Slot, Tables, ZoneSet, decide_rule},
    sighting::Origin,
};

/// What pinif knows of the namespace that a packet leaves, and of the policy in force.
pub trait World: Tables {
    /// Whether `lower` is a lower device of `upper`, which is another interface.
    fn is_lower_of(&self, lower: IfIndex, upper: IfIndex) -> bool;
    /// The interface that alone has this local address; [`IfIndex::NONE`] if none has it, several, or a loopback device.
    fn sole_owner(&self, address: &Address) -> IfIndex;
    /// The zones of an interface in the policy of this slot.
    fn zones(&self, slot: Slot, interface: IfIndex) -> ZoneSet;
    /// Whether nothing leaves the host by this interface as such ([`crate::policy::flags::LEADS_NOWHERE`]).
    fn leads_nowhere(&self, slot: Slot, interface: IfIndex) -> bool;
}

/// One packet about to leave, and what its socket intends.
#[derive(Clone, Copy, Debug)]
pub struct Traffic<'a> {
    /// Who sent it.
    pub origin: Origin,
    /// The device that its socket is bound to; for a packet without socket, the one that the socket is bound to whose
    /// local endpoint it has.
    pub bound: IfIndex,
    /// Whether the socket names the interface with each packet, and needs no bound device (`AF_PACKET`'s `sll_ifindex`).
    pub names_interface: bool,
    /// The address that `bind()` was called with, if it was with one.
    pub bound_address: Option<Address>,
    /// Its headers; nothing for what is no IP packet or cannot be read, which is judged by its device alone.
    pub packet: Option<&'a Packet>,
    /// Where it leaves.
    pub egress: IfIndex,
    /// The interface by which the last packet from its destination came to its socket; none where none did, where that is not asked, or
    /// where no other answer is expected than by this.
    pub heard: IfIndex,
}

/// The verdict on one packet. Numbers, not enums: where one is not set there is still a number, and the verifier refuses
/// to move what was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The number of the gravest [`Kind`]; zero is contained, [`ALLOWED`] what a rule allows.
    pub kind: u8,
    /// The number of its [`Severity`]; zero is contained, or allowed.
    pub severity: u8,
    /// The other kinds that held too.
    pub also: KindSet,
    /// The rule that decided, or [`NO_RULE`].
    pub rule: u16,
    /// The interface that alone has the source address, if that was asked.
    pub source_owner: IfIndex,
}

impl Decision {
    /// Contained.
    pub const CONTAINED: Self = Self {
        kind: 0,
        severity: 0,
        also: KindSet(0),
        rule: NO_RULE,
        source_owner: IfIndex::NONE,
    };

    /// The gravest kind, and how grave; nothing is contained, or allowed.
    pub const fn finding(&self) -> Option<(Kind, Severity)> {
        match (
            Kind::from_number(self.kind),
            Severity::from_number(self.severity),
        ) {
            (Some(kind), Some(severity)) => Some((kind, severity)),
            _ => None,
        }
    }

    /// The same of an answer that leaves by `egress`, and whose destination was heard by another interface; of a socket without bound device.
    ///
    /// What is on the other, or what it is on, is the same way. Where a zone is contained that only one of the two is in, somebody outside
    /// is answered from inside, or the other way round; other answers are found where all are `audited`.
    #[inline(always)]
    pub fn answering(
        mut self,
        heard: IfIndex,
        egress: IfIndex,
        audited: Replies,
        active: &Active,
        world: &impl World,
    ) -> Self {
        let slot = active.slot;
        let ends_here = egress == IfIndex::LOOPBACK || world.leads_nowhere(slot, egress);
        if self.kind == ALLOWED
            || ends_here
            || heard == egress
            || world.is_lower_of(egress, heard)
            || world.is_lower_of(heard, egress)
        {
            return self;
        }
        let (came, left) = (world.zones(slot, heard), world.zones(slot, egress));
        let apart = ZoneSet(came.0 ^ left.0).intersection(active.contained);
        let severity = if apart.is_empty() {
            if matches!(audited, Replies::None | Replies::Leaks) {
                return self;
            }
            Severity::Note
        } else {
            Severity::Leak
        };
        let (kind, severity) = (Kind::ReplyEscape as u8, severity as u8);
        let is_graver = severity > self.severity || severity == self.severity && kind < self.kind;
        let less_grave = if is_graver { self.kind } else { kind };
        if is_graver {
            self.kind = kind;
            self.severity = severity;
        }
        self.also.0 |= (1 << less_grave) & !KindSet::CONTAINED.0;
        self
    }

    /// Takes one more kind into account. Called in the table's order, so that the first of equal severity stays.
    #[inline(always)]
    const fn consider(&mut self, kind: Kind, severity: Severity) {
        let mut less_grave = kind as u8;
        if severity as u8 > self.severity {
            less_grave = self.kind;
            self.kind = kind as u8;
            self.severity = severity as u8;
        }
        self.also.0 |= (1 << less_grave) & !KindSet::CONTAINED.0;
    }
}

/// Judges one packet.
///
/// What leaves by the loopback device, or by another that leads nowhere, never leaves the host, and is contained. `address-escape` speaks of traffic
/// without a bound device: where there is one, that is the intent, and the address is at most crossed with it.
///
/// The rule is looked up before anything is decided: the verifier would else follow that long way once for each
/// outcome.
#[inline(always)]
pub fn decide(traffic: &Traffic<'_>, active: &Active, world: &impl World) -> Decision {
    let mut decision = Decision::CONTAINED;
    let slot = active.slot;
    if traffic.egress == IfIndex::LOOPBACK || world.leads_nowhere(slot, traffic.egress) {
        return decision;
    }
    let within = |upper: IfIndex, lower: IfIndex| upper == lower || world.is_lower_of(lower, upper);
    let pinned = traffic.bound.is_some();
    let (rule, demand) = match traffic.packet {
        Some(packet) => decide_rule(world, active, packet),
        None => (NO_RULE, Demand::NONE),
    };
    decision.rule = rule;
    if pinned {
        if !within(traffic.bound, traffic.egress) {
            let kind = match traffic.origin {
                Origin::Process | Origin::Kernel => Kind::DeviceEscape,
                Origin::None => Kind::CopyEscape,
            };
            decision.consider(kind, Severity::Leak);
        }
    } else if let Some(packet) = traffic.packet {
        let owner = world.sole_owner(&packet.source);
        decision.source_owner = owner;
        if owner.is_some() && !within(owner, traffic.egress) {
            let contained = world.zones(slot, owner).intersection(active.contained);
            // Within its zone, it is where it may be, but only because of the current route.
            let leaves =
                !contained.is_empty() && !contained.intersects(world.zones(slot, traffic.egress));
            let severity = if leaves {
                Severity::Leak
            } else {
                Severity::Risk
            };
            decision.consider(Kind::AddressEscape, severity);
        }
    }
    if !demand.only_via.is_empty()
        && !demand
            .only_via
            .intersects(world.zones(slot, traffic.egress))
    {
        decision.consider(Kind::PolicyEscape, Severity::Leak);
    }
    let is_left_to_routes =
        !pinned && !traffic.names_interface && matches!(traffic.origin, Origin::Process);
    if demand.pinned != 0 && is_left_to_routes {
        decision.consider(Kind::Unpinned, Severity::Risk);
    }
    if pinned && let Some(address) = traffic.bound_address {
        let owner = world.sole_owner(&address);
        if owner.is_some() && !within(owner, traffic.bound) && !within(traffic.bound, owner) {
            decision.consider(Kind::CrossedBind, Severity::Note);
        }
    }
    // Without a branch: the verifier would follow it for each outcome.
    let allowed = demand.allowed();
    decision.kind |= allowed as u8 & ALLOWED;
    decision.severity &= !allowed as u8;
    decision.also.0 &= !allowed as u16;
    if traffic.heard.is_some() && !pinned {
        return decision.answering(traffic.heard, traffic.egress, Replies::All, active, world);
    }
    decision
}

#[cfg(test)]
mod tests;
