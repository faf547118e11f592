//! What a rule says of the packet inside another that the stack put it into, where a route encapsulates.

use super::{Decision, Kind, KindSet, Severity, World};
use crate::{
    key::IfIndex,
    packet::Packet,
    policy::{Active, decide_rule},
};

impl Decision {
    /// The same of a packet that has `inner` inside: where a rule keeps that one in, by whichever header it leaves, the rule is broken.
    ///
    /// What is wrong with its own header comes after that, but for a device that its socket is bound to, and a rule that keeps the outer
    /// packet in: to follow these leads the inner one home as well.
    #[inline(always)]
    pub fn carrying(
        self,
        inner: &Packet,
        egress: IfIndex,
        active: &Active,
        world: &impl World,
    ) -> Self {
        let slot = active.slot;
        let is_graver = self.severity == Severity::Leak as u8
            && (self.kind == Kind::DeviceEscape as u8
                || self.kind == Kind::CopyEscape as u8
                || self.kind == Kind::PolicyEscape as u8);
        if is_graver || egress == IfIndex::LOOPBACK || world.leads_nowhere(slot, egress) {
            return self;
        }
        let (rule, demand) = decide_rule(world, active, inner);
        if demand.allowed() != 0
            || demand.only_via.is_empty()
            || demand.only_via.intersects(world.zones(slot, egress))
        {
            return self;
        }
        Self {
            kind: Kind::PolicyEscape as u8,
            severity: Severity::Leak as u8,
            also: KindSet(0),
            rule,
            source_owner: world.sole_owner(&inner.source),
        }
    }
}
