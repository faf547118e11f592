//! The policy as the kernel holds it: sets of rules and zones, and the keys of its tables.
//!
//! Userspace compiles a policy into one table a dimension (destination, source, ports, protocol, user, cgroup,
//! executable). Each table answers with the set of rules that this value satisfies; the intersection of all answers is
//! the set of matching rules, and the lowest of them, the first in the file, decides.
//!
//! Two policies fit into the tables at once, each under its [`Slot`]. [`Active`] names the one in force; a packet reads
//! it once, so that none sees half a policy.

mod rules;

pub use rules::{Tables, decide_rule, rules_for, rules_of_owner};

use crate::key::Address;

/// How many rules a policy may have.
pub const MAX_RULES: usize = 256;
/// How many zones a policy may have.
pub const MAX_ZONES: usize = 64;
/// The rule number that means no rule.
pub const NO_RULE: u16 = u16::MAX;

const WORDS: usize = MAX_RULES / 64;

/// A set of rules; bit `i` of the whole is the `i`-th rule of the file.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleSet(pub [u64; WORDS]);

impl RuleSet {
    /// No rule.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// The rules that are in both sets.
    #[inline(always)]
    pub const fn intersection(self, other: Self) -> Self {
        Self([
            self.0[0] & other.0[0],
            self.0[1] & other.0[1],
            self.0[2] & other.0[2],
            self.0[3] & other.0[3],
        ])
    }

    /// The rules that are in either set.
    #[inline(always)]
    pub const fn union(self, other: Self) -> Self {
        Self([
            self.0[0] | other.0[0],
            self.0[1] | other.0[1],
            self.0[2] | other.0[2],
            self.0[3] | other.0[3],
        ])
    }

    /// Adds the rule with this number; numbers from [`MAX_RULES`] on are ignored.
    #[inline(always)]
    pub const fn insert(&mut self, rule: usize) {
        if rule < MAX_RULES {
            self.0[rule / 64] |= 1 << (rule % 64);
        }
    }

    /// Whether the rule with this number is in the set.
    #[inline(always)]
    pub const fn contains(&self, rule: usize) -> bool {
        rule < MAX_RULES && self.0[rule / 64] & (1 << (rule % 64)) != 0
    }

    /// Whether no rule is in the set.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    /// The first rule of the file that is in the set.
    #[inline(always)]
    pub const fn first(&self) -> Option<u16> {
        if self.0[0] != 0 {
            Some(lowest_bit(self.0[0]))
        } else if self.0[1] != 0 {
            Some(64 + lowest_bit(self.0[1]))
        } else if self.0[2] != 0 {
            Some(128 + lowest_bit(self.0[2]))
        } else if self.0[3] != 0 {
            Some(192 + lowest_bit(self.0[3]))
        } else {
            None
        }
    }
}

/// `u64::trailing_zeros` of a number that is not zero: the ones below its lowest bit, added up pairwise. The BPF
/// instruction set has no such instruction, and each branch here would double the verifier's work.
#[inline(always)]
const fn lowest_bit(word: u64) -> u16 {
    let below = (word & word.wrapping_neg()).wrapping_sub(1);
    let pairs = below - ((below >> 1) & 0x5555_5555_5555_5555);
    let fours = (pairs & 0x3333_3333_3333_3333) + ((pairs >> 2) & 0x3333_3333_3333_3333);
    let bytes = (fours + (fours >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    (bytes.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u16
}

/// A set of zones; bit `i` is the `i`-th zone of the file.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ZoneSet(pub u64);

impl ZoneSet {
    /// No zone.
    pub const EMPTY: Self = Self(0);

    /// The zones that are in both sets.
    #[inline(always)]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the two sets have a zone in common.
    #[inline(always)]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no zone is in the set.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all zones of the set are in the other one.
    #[inline(always)]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Adds the zone with this number; numbers from [`MAX_ZONES`] on are ignored.
    #[inline(always)]
    pub const fn insert(&mut self, zone: usize) {
        if zone < MAX_ZONES {
            self.0 |= 1 << zone;
        }
    }

    /// Whether the zone with this number is in the set.
    #[inline(always)]
    pub const fn contains(self, zone: usize) -> bool {
        zone < MAX_ZONES && self.0 & (1 << zone) != 0
    }
}

/// Which of the two policies in the tables: 0 or 1.
pub type Slot = u32;

/// What a rule of the policy can look at, as bits: a dimension that no rule looks at is not looked up.
pub mod dimension {
    /// Destination prefixes.
    pub const DESTINATION: u32 = 1 << 0;
    /// Source prefixes.
    pub const SOURCE: u32 = 1 << 1;
    /// Destination ports.
    pub const PORT: u32 = 1 << 2;
    /// Source ports.
    pub const SOURCE_PORT: u32 = 1 << 3;
    /// IP protocols.
    pub const PROTOCOL: u32 = 1 << 4;
    /// User ids.
    pub const USER: u32 = 1 << 5;
    /// Cgroups and all below them.
    pub const CGROUP: u32 = 1 << 6;
    /// Executables.
    pub const EXECUTABLE: u32 = 1 << 7;
}

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

/// The key of a rule's demand.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DemandKey {
    /// The policy.
    pub slot: Slot,
    /// The rule's number.
    pub rule: u32,
}

/// The data of a prefix in the destination and source tries (`BPF_MAP_TYPE_LPM_TRIE`), most significant first.
/// A prefix of `n` bits of a 128-bit address has the length [`PrefixKey::length`]`(n)`; IPv4 is mapped, so that a `/8`
/// is 104 bits of the address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PrefixKey {
    /// The policy, big-endian.
    pub slot: [u8; 8],
    /// The address.
    pub address: Address,
}

impl PrefixKey {
    /// The key of an address in a policy.
    #[inline(always)]
    pub const fn new(slot: Slot, address: Address) -> Self {
        Self {
            slot: (slot as u64).to_be_bytes(),
            address,
        }
    }

    /// The length in the trie, in bits, of a prefix of `bits` bits of the mapped address.
    #[inline(always)]
    pub const fn length(bits: u8) -> u32 {
        64 + bits as u32
    }
}

/// The data of a range of ports in the port tries: ranges are made of binary prefixes of the port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortKey {
    /// The policy, big-endian.
    pub slot: [u8; 4],
    /// The port, big-endian.
    pub port: [u8; 2],
    /// Zero: keeps the trie's values aligned.
    pub _pad: [u8; 2],
}

impl PortKey {
    /// The key of a port in a policy.
    #[inline(always)]
    pub const fn new(slot: Slot, port: u16) -> Self {
        Self {
            slot: slot.to_be_bytes(),
            port: port.to_be_bytes(),
            _pad: [0; 2],
        }
    }

    /// The length in the trie, in bits, of a prefix of `bits` bits of the port.
    #[inline(always)]
    pub const fn length(bits: u8) -> u32 {
        32 + bits as u32
    }
}

/// The key of the table of protocols and of users.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberKey {
    /// The policy.
    pub slot: Slot,
    /// The protocol number or the user id.
    pub number: u32,
}

/// The key of the table of cgroups.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CgroupKey {
    /// The cgroup's id: the inode of its directory.
    pub cgroup: u64,
    /// The policy.
    pub slot: Slot,
    /// Zero.
    pub _pad: u32,
}

/// The key of the table of executables: a file, as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExecutableKey {
    /// The inode number (`inode->i_ino`).
    pub inode: u64,
    /// The file system's device, major in the upper twelve bits and minor in the lower twenty (`super_block->s_dev`).
    pub device: u32,
    /// The policy.
    pub slot: Slot,
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
}

/// What is in force, as one word: a number that changes whenever a decision may be another, what of a sender is looked at,
/// and the slot of the policy.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce(pub u64);

impl InForce {
    const USERS: u64 = 1 << 1;
    const OWNERS: u64 = 1 << 2;
    const SOURCE_PORTS: u64 = 1 << 3;
    /// How many bits the number is above.
    const BITS: u32 = 4;

    /// The next word, for a policy in this slot with these dimensions.
    pub const fn next(self, slot: Slot, dimensions: u32) -> Self {
        const fn bit(dimensions: u32, of: u32, bit: u64) -> u64 {
            if dimensions & of != 0 { bit } else { 0 }
        }
        let owner = dimension::USER | dimension::CGROUP | dimension::EXECUTABLE;
        let looks_at = bit(dimensions, dimension::USER, Self::USERS)
            | bit(dimensions, owner, Self::OWNERS)
            | bit(dimensions, dimension::SOURCE_PORT, Self::SOURCE_PORTS);
        Self(((self.0 >> Self::BITS) + 1) << Self::BITS | looks_at | slot as u64 & 1)
    }

    /// The next word for the same policy, after the host has changed.
    pub const fn next_of_same(self) -> Self {
        Self(self.0 + (1 << Self::BITS))
    }

    /// The slot of the policy in force.
    #[inline(always)]
    pub const fn slot(self) -> Slot {
        (self.0 & 1) as Slot
    }

    /// Whether a rule asks for the user of a socket.
    #[inline(always)]
    pub const fn looks_at_users(self) -> bool {
        self.0 & Self::USERS != 0
    }

    /// Whether a rule asks who has a socket: its user, its cgroup or its executable.
    #[inline(always)]
    pub const fn looks_at_owners(self) -> bool {
        self.0 & Self::OWNERS != 0
    }

    /// Whether a rule asks for the port that is sent from.
    #[inline(always)]
    pub const fn looks_at_source_ports(self) -> bool {
        self.0 & Self::SOURCE_PORTS != 0
    }
}

const _: () = assert!(size_of::<Active>() == 32 + 8 * size_of::<RuleSet>());
const _: () = assert!(size_of::<Demand>() == 24);
const _: () = assert!(size_of::<PrefixKey>() == 24);
const _: () = assert!(size_of::<PortKey>() == 8);
const _: () = assert!(size_of::<CgroupKey>() == 16);
const _: () = assert!(size_of::<ExecutableKey>() == 16);

#[cfg(feature = "user")]
mod pod {
    use super::{
        Active, CgroupKey, Demand, DemandKey, ExecutableKey, InterfaceZones, NumberKey, PortKey,
        PrefixKey, RuleSet, ZoneSet,
    };
    // SAFETY: all are `repr(C)` or transparent, made of integers, without implicit padding (sizes asserted above).
    unsafe impl aya::Pod for Active {}
    // SAFETY: as above.
    unsafe impl aya::Pod for CgroupKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Demand {}
    // SAFETY: as above.
    unsafe impl aya::Pod for DemandKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ExecutableKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for InterfaceZones {}
    // SAFETY: as above.
    unsafe impl aya::Pod for NumberKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PortKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PrefixKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for RuleSet {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ZoneSet {}
}

#[cfg(test)]
pub(crate) mod tests;
