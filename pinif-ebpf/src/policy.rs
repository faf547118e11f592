//! The policy as the kernel holds it: sets of rules and zones, and the keys of its tables.
//!
//! Userspace compiles a policy into one table a dimension (destination, source, ports, protocol, user, cgroup,
//! executable). Each table answers with the set of rules that this value satisfies; the intersection of all answers is
//! the set of matching rules, and the lowest of them, the first in the file, decides.
//!
//! Two policies fit into the tables at once, each under its [`Slot`]. [`Active`] names the one in force; a packet reads
//! it once, so that none sees half a policy.

pub mod dimension;
mod in_force;
mod keys;
mod rules;
mod sets;

pub use dimension::Dimension;
pub use in_force::InForce;
pub use keys::{CgroupKey, DemandKey, ExecutableKey, NumberKey, PortKey, PrefixKey};
pub use rules::Tables;
pub(crate) use rules::{decide_rule, rules_for, rules_of_owner};
pub use sets::{RuleSet, ZoneSet};

/// How many rules a policy may have.
pub const MAX_RULES: usize = 256;
/// How many zones a policy may have.
pub const MAX_ZONES: usize = 64;
/// The rule number that means no rule.
pub const NO_RULE: u16 = u16::MAX;

/// Which of the two policies in the tables: 0 or 1.
pub type Slot = u32;

/// One of the two policies in the tables: its entry in the kernel's `POLICIES`, and what the tables answer for a value
/// that they do not hold.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// Where its entries are in the tables.
    pub slot: Slot,
    /// Counts the policies that were in force; names the policy in sightings.
    pub generation: u32,
    /// How many rules it has; without any, no table is looked at.
    pub rules: u32,
    /// The [`dimension`]s that its rules look at.
    pub dimensions: u32,
    /// The zones that are contained.
    pub contained: ZoneSet,
    /// Until when it is enforced ([`crate::enforce::until`]).
    pub enforce_until: u64,
    /// Not zero: while it is enforced, packets whose headers cannot be read are dropped where they might break it.
    pub drops_unparsed: u32,
    /// Not zero: a rule allows what it names ([`crate::enforce::Action::Allow`]).
    pub has_exceptions: u32,
    /// Rules that take any destination.
    pub any_destination: RuleSet,
    /// Rules that take any source.
    pub any_source: RuleSet,
    /// Rules that take any destination port, or none.
    pub any_port: RuleSet,
    /// Rules that take any source port, or none.
    pub any_source_port: RuleSet,
    /// Rules that take any protocol.
    pub any_protocol: RuleSet,
    /// Rules that take any user, or none.
    pub any_user: RuleSet,
    /// Rules that take any cgroup, or none.
    pub any_cgroup: RuleSet,
    /// Rules that take any executable, or none.
    pub any_executable: RuleSet,
}

impl Active {
    /// Whether a rule looks at this.
    #[inline(always)]
    pub const fn looks_at(&self, dimension: Dimension) -> bool {
        self.dimensions & dimension.bit() != 0
    }
}

/// What a rule demands.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The zones by which this traffic may leave; empty is no demand.
    pub only_via: ZoneSet,
    /// Not zero: the socket must have a bound device.
    pub pinned: u32,
    /// The [`Action`](crate::enforce::Action)'s number.
    pub action: u32,
    /// What a rule of this name has in every policy, so that a finding stays the same when a policy is loaded anew; not zero.
    pub id: u32,
    /// Zero.
    pub _pad: u32,
}

impl Demand {
    /// No demand: what no rule makes.
    pub const NONE: Self = Self {
        only_via: ZoneSet::EMPTY,
        pinned: 0,
        action: 0,
        id: 0,
        _pad: 0,
    };
}

/// The interface's zones in the table of interfaces.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceZones {
    /// The zones that it is in.
    pub zones: ZoneSet,
    /// What else there is to say of it ([`flags`]).
    pub about: u64,
}

/// [`InterfaceZones::about`].
pub mod flags {
    /// The interface is in a zone of each rule's `only_via`: whatever a socket with a bound device sends here, no rule is
    /// broken.
    pub const KEEPS_PINNED: u64 = 1 << 0;
    /// Nor does any rule demand a bound device: whoever sends here, no rule is broken.
    pub const KEEPS_UNPINNED: u64 = 1 << 1;
    /// Another interface carries its packets.
    pub const STACKED: u64 = 1 << 2;
    /// Nothing leaves the host by it: what it sends ends there, or goes on by another interface.
    pub const LEADS_NOWHERE: u64 = 1 << 3;
    /// It is an IFB: it gives what it gets back to the interface that tc took it from.
    pub const GIVES_BACK: u64 = 1 << 4;
    /// The programs are attached to it, and what must not leave by it is refused before, at the cgroup.
    pub const ENFORCED: u64 = 1 << 5;
}

const _: () = assert!(size_of::<Active>() == 40 + 8 * size_of::<RuleSet>());
const _: () = assert!(size_of::<Demand>() == 24);

#[cfg(feature = "user")]
mod pod {
    use super::{Active, Demand, InterfaceZones};
    // SAFETY: all are `repr(C)`, made of integers, without implicit padding (sizes asserted above).
    unsafe impl aya::Pod for Active {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Demand {}
    // SAFETY: as above.
    unsafe impl aya::Pod for InterfaceZones {}
}

#[cfg(test)]
pub(crate) mod tests;
