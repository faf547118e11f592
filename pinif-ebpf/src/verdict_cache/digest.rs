//! What the fast path knows of a packet, and the digest of all that.

use super::FlowKey;
use crate::key::{Address, IfIndex};

/// All that the fast path knows of a packet: what a cached verdict is looked up by.
///
/// [`CacheInputs::digest`] takes it apart to the last member, so that none is left out of the digest; and a verdict is cached only
/// where all that [`decide`](crate::verdict::decide) looked at is in here ([`CacheInputs::covers`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheInputs {
    /// Its addresses and ports.
    pub flow: FlowKey,
    /// What changes with the policy and with the host's links and addresses ([`crate::policy::InForce`]).
    pub epoch: u64,
    /// Whose packets these are: a secret that stands for all that is known of the socket, or one of all sockets.
    pub salt: u64,
    /// The interface above that has counted the packet before.
    pub above: IfIndex,
    /// The bound device; of what is forwarded, the interface that it came in by.
    pub bound: IfIndex,
    /// The egress interface.
    pub egress: IfIndex,
    /// The socket's user, where a rule asks for it; else zero.
    pub user: u32,
    /// The address that `bind()` was called with, where the salt does not stand for it; else unspecified.
    pub bound_address: Address,
}

/// Both digests of a packet; zero where there are none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// [`SourceDigest::any_destination`].
    pub any_destination: u64,
    /// [`SourceDigest::whole`].
    pub whole: u64,
}

impl Digests {
    /// None.
    pub const NONE: Self = Self {
        any_destination: 0,
        whole: 0,
    };
}

/// The digest of all but the destination, before its last steps.
#[derive(Clone, Copy, Debug)]
pub struct SourceDigest {
    sum: u64,
    destination: [u64; 2],
    ports: u32,
}

impl CacheInputs {
    /// The digest of all but the destination. Each word goes through a bijection of its own, and the sum through one more:
    /// packets that differ in one word only never have the same sum. The multiplications do not wait for each other.
    #[inline(always)]
    pub fn digest(&self) -> SourceDigest {
        let source_port = self.flow.source_port();
        let Self {
            flow:
                FlowKey {
                    source,
                    destination,
                    ports,
                    protocol,
                },
            epoch,
            salt,
            above,
            bound,
            egress,
            user,
            bound_address,
        } = *self;
        let interfaces = u64::from(bound.0) << 32 | u64::from(egress.0);
        let others = u64::from(above.0) << 32 | u64::from(user);
        let source_end = u64::from(source_port) << 8 | u64::from(protocol as u8);
        let bound_address = bound_address.words();
        let sum = mix(salt, 0xff51_afd7_ed55_8ccd)
            .wrapping_add(mix(epoch, 0xc4ce_b9fe_1a85_ec53))
            .wrapping_add(mix(others, 0xbf58_476d_1ce4_e5b9))
            .wrapping_add(mix(interfaces, 0x94d0_49bb_1331_11eb))
            .wrapping_add(mix(source[0], 0xe703_7ed1_a0b4_28db))
            .wrapping_add(mix(source[1], 0x8ebc_6af0_9c88_c6e3))
            .wrapping_add(mix(source_end, 0x5899_65cc_7537_4cc3))
            .wrapping_add(mix(bound_address[0], 0xd6e8_feb8_6659_fd93))
            .wrapping_add(mix(bound_address[1], 0xa24b_aed4_963e_e407));
        SourceDigest {
            sum,
            destination,
            ports,
        }
    }
}

impl SourceDigest {
    /// The digest for a verdict that holds whatever the destination is.
    #[inline(always)]
    pub const fn any_destination(&self) -> u64 {
        finish(self.sum)
    }

    /// The digest of that and of the packet's destination.
    #[inline(always)]
    pub const fn whole(&self) -> u64 {
        let sum = self
            .sum
            .wrapping_add(1)
            .wrapping_add(mix(self.destination[0], 0x1d8e_4e27_c47d_124f))
            .wrapping_add(mix(self.destination[1], 0xeb44_acca_b455_d165))
            .wrapping_add(mix(self.ports as u64, 0xa076_1d64_78bd_642f));
        finish(sum)
    }
}

#[inline(always)]
const fn mix(word: u64, multiplier: u64) -> u64 {
    let word = word.wrapping_mul(multiplier);
    word ^ (word >> 32)
}

#[inline(always)]
const fn finish(sum: u64) -> u64 {
    // Never all zeros in the digest's bits: an empty entry is no decision.
    mix(sum, 0x9e37_79b9_7f4a_7c15) | super::NOT_EMPTY
}
