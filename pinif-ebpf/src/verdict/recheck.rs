//! The recheck of a verdict, by what the kernel itself says at this instant: what userspace published may be some
//! milliseconds old, and nothing that is contained may be told as a leak meanwhile.

use super::{Decision, Kind, KindSet, Severity};
use crate::policy::ZoneSet;

/// What the kernel says of the egress interface at this instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recheck {
    /// It carries the packets of the bound device.
    pub carries_bound: bool,
    /// It carries the packets of the interface that was taken to have the source address alone.
    pub carries_source_owner: bool,
    /// It, or one that it carries, has the source address.
    pub has_source: bool,
    /// Bound device and bound address belong together.
    pub has_bound_address: bool,
    /// The zones that it is in by now, as far as is known: of its own name, and of those that it carries. All, where one of
    /// them has a name that userspace has not heard of yet.
    pub zones: ZoneSet,
    /// The zones of the rule that decided.
    pub only_via: ZoneSet,
    /// The contained zones of the one that was taken to have the source address.
    pub owner_contained: ZoneSet,
}

impl Recheck {
    /// The kinds that do not hold.
    #[inline(always)]
    const fn withdrawn(&self) -> KindSet {
        let mut kinds = KindSet(0);
        if self.carries_bound {
            kinds.insert(Kind::DeviceEscape);
            kinds.insert(Kind::CopyEscape);
        }
        if self.has_source || self.carries_source_owner {
            kinds.insert(Kind::AddressEscape);
        }
        if self.zones.intersects(self.only_via) {
            kinds.insert(Kind::PolicyEscape);
        }
        if self.has_bound_address {
            kinds.insert(Kind::CrossedBind);
        }
        kinds
    }
}

impl KindSet {
    /// What [`Recheck`] may withdraw.
    pub const REVOCABLE: Self = Self(
        1 << Kind::DeviceEscape as u8
            | 1 << Kind::CopyEscape as u8
            | 1 << Kind::AddressEscape as u8
            | 1 << Kind::PolicyEscape as u8
            | 1 << Kind::CrossedBind as u8,
    );
}

impl Decision {
    /// All kinds that held, the gravest among them.
    #[inline(always)]
    pub const fn kinds(&self) -> KindSet {
        KindSet((self.also.0 | (1 << self.kind)) & !KindSet::CONTAINED.0)
    }

    /// The decision that would have been made, had all been known that `live` tells.
    #[inline(always)]
    pub const fn reconsidered(&self, live: &Recheck) -> Self {
        let held = self.kinds().0 & !live.withdrawn().0;
        let mut decision = Self {
            rule: self.rule,
            source_owner: self.source_owner,
            ..Self::CONTAINED
        };
        decision.reconsider(held, Kind::DeviceEscape, Severity::Leak);
        let leaves = self.kind == Kind::AddressEscape as u8
            && self.severity == Severity::Leak as u8
            && !live.owner_contained.intersects(live.zones);
        let severity = if leaves {
            Severity::Leak
        } else {
            Severity::Risk
        };
        decision.reconsider(held, Kind::AddressEscape, severity);
        decision.reconsider(held, Kind::CopyEscape, Severity::Leak);
        decision.reconsider(held, Kind::PolicyEscape, Severity::Leak);
        decision.reconsider(held, Kind::Unpinned, Severity::Risk);
        decision.reconsider(held, Kind::CrossedBind, Severity::Note);
        decision.reconsider(held, Kind::IngressEscape, Severity::Leak);
        decision.reconsider(held, Kind::Unaudited, Severity::Risk);
        decision
    }

    #[inline(always)]
    const fn reconsider(&mut self, held: u16, kind: Kind, severity: Severity) {
        if held & (1 << kind as u8) != 0 {
            self.consider(kind, severity);
        }
    }
}
