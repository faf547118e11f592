//! Sets of rules and of zones.

use super::{MAX_RULES, MAX_ZONES};

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
pub(super) const fn lowest_bit(word: u64) -> u16 {
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
    pub(crate) const fn is_within(self, other: Self) -> bool {
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

#[cfg(feature = "user")]
mod pod {
    use super::{RuleSet, ZoneSet};
    // SAFETY: transparent, integers only.
    unsafe impl aya::Pod for RuleSet {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ZoneSet {}
}
