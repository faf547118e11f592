//! The recheck of a verdict, by what the kernel itself says at this instant: what userspace published may be some
//! milliseconds old, and nothing that is contained may be reported as a leak meanwhile.

use super::{ALLOWED, Decision, Kind, KindSet, Severity};
use crate::policy::ZoneSet;

/// What the kernel says of the egress interface at this instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recheck {
    /// It is a lower device of the bound device.
    pub is_lower_of_bound: bool,
    /// It is a lower device of the interface that was taken to have the source address alone.
    pub is_lower_of_source_owner: bool,
    /// It, or one that it is a lower device of, has the source address.
    pub has_source: bool,
    /// Bound device and bound address belong together.
    pub has_bound_address: bool,
    /// The zones that it is in by now, as far as is known: of its own name, and of those that it carries. All, where one of
    /// them has a name that userspace does not know yet.
    pub zones: ZoneSet,
    /// The zones of the rule that decided.
    pub only_via: ZoneSet,
    /// The contained zones of the one that was taken to have the source address; asked for where [`Decision::is_leak_by_address`].
    pub owner_contained: ZoneSet,
}

impl Recheck {
    /// The kinds that do not hold.
    #[inline(always)]
    const fn withdrawn(&self) -> KindSet {
        let mut kinds = KindSet(0);
        if self.is_lower_of_bound {
            kinds.insert(Kind::DeviceEscape);
            kinds.insert(Kind::CopyEscape);
        }
        if self.has_source || self.is_lower_of_source_owner {
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
    /// Those that are about an address: [`Recheck::has_source`] or [`Recheck::has_bound_address`] may withdraw them.
    pub const OF_ADDRESSES: Self =
        Self(1 << Kind::AddressEscape as u8 | 1 << Kind::CrossedBind as u8);
}

impl Decision {
    /// All kinds that held, the gravest among them; of what is allowed, those that would hold.
    #[inline(always)]
    pub const fn kinds(&self) -> KindSet {
        KindSet((self.also.0 | (1 << self.kind)) & !KindSet::OF_NONE.0)
    }

    /// Whether [`Recheck::zones`] can make it another.
    #[inline(always)]
    pub const fn depends_on_zones(&self) -> bool {
        self.kinds().contains(Kind::PolicyEscape) || self.is_leak_by_address()
    }

    /// Whether it is an address alone that makes it a leak: then [`Recheck::owner_contained`] can make it another.
    #[inline(always)]
    pub const fn is_leak_by_address(&self) -> bool {
        self.kind == Kind::AddressEscape as u8 && self.severity == Severity::Leak as u8
    }

    /// The decision that would have been made, had all been known that `live` has.
    #[inline(always)]
    pub const fn reconsidered(&self, live: &Recheck) -> Self {
        let held = self.kinds().0 & !live.withdrawn().0;
        let mut decision = Self {
            rule: self.rule,
            source_owner: self.source_owner,
            ..Self::CONTAINED
        };
        let leaves = self.is_leak_by_address() && !live.owner_contained.intersects(live.zones);
        let of_address = if leaves {
            Severity::Leak
        } else {
            Severity::Risk
        };
        let mut index = 0;
        while index < Kind::ALL.len() {
            let row = Kind::ALL[index].row();
            // Whether it is one is asked afterwards.
            if !matches!(row.kind, Kind::ReplyEscape) && held & (1 << row.kind as u8) != 0 {
                let is_address = row.kind as u8 == Kind::AddressEscape as u8;
                let severity = if is_address { of_address } else { row.severity };
                decision.consider(row.kind, severity);
            }
            index += 1;
        }
        if self.kind == ALLOWED {
            return *self;
        }
        decision
    }
}
