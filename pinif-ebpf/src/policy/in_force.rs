//! What is in force.

use super::{
    Slot,
    dimension::{Dimension, Hashed, LEARNED},
};

/// What is in force, as one word: a number that changes whenever a decision may be another, what of a sender is looked at,
/// and the slot of the policy.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce(pub u64);

impl InForce {
    /// No policy: nothing is counted.
    pub const NOTHING: Self = Self(0);
    const USERS: u64 = 1 << 1;
    const OWNERS: u64 = 1 << 2;
    const SOURCE_PORTS: u64 = 1 << 3;
    /// How many bits the number is above.
    const BITS: u32 = 4;

    /// The next word, for a policy in this slot with these dimensions.
    pub const fn next(self, slot: Slot, dimensions: u32) -> Self {
        let mut looks_at = if dimensions & LEARNED == 0 {
            0
        } else {
            Self::OWNERS
        };
        let mut index = 0;
        while index < Dimension::ALL.len() {
            let dimension = Dimension::ALL[index];
            if dimensions & dimension.bit() != 0 {
                looks_at |= match dimension.hashed() {
                    Hashed::Flow => 0,
                    Hashed::OwnFlow => Self::SOURCE_PORTS,
                    Hashed::Record => Self::OWNERS,
                    Hashed::User => Self::OWNERS | Self::USERS,
                };
            }
            index += 1;
        }
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

    /// Whether a rule asks who has a socket (its user, its cgroup or its executable), or the auditor learns that.
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
