//! Cached verdicts: what was decided for one packet holds for the next that is like it in all that was looked at.
//!
//! An entry is one word: most of a digest of all that led to the decision, and what to do with such packets. One word is
//! read and written at once, whatever other CPUs do, on every architecture. The digest has a secret of each socket in it
//! ([`crate::intent::SocketRecord::salt`]), and 49 bits: of 5·10¹⁴ packets that are not like the one remembered, one
//! would be taken for it.

mod caching;
mod digest;
mod flow;

pub use caching::{Coverage, FlowCache, Keys, Outcome, PacketPath, Reach, SocketFacts};
pub use digest::{CacheInputs, Digests, SourceDigest};
pub use flow::FlowKey;

/// How many bits of an entry are the cell's number.
pub const CELL_BITS: u32 = 14;
const CELL: u64 = (1 << CELL_BITS) - 1;
const MARKED: u64 = 1 << CELL_BITS;
/// A bit of the digest, set in all: an entry that is all zeros is of none.
const NOT_EMPTY: u64 = MARKED << 1;
/// The bits of an entry that are the digest's.
const DIGEST: u64 = !(CELL | MARKED);

/// What to do with a packet whose verdict is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedVerdict {
    /// The number of the cell to count it in, less than `1 << CELL_BITS`.
    pub cell: u32,
    /// Whether the interface below has to know that it was counted.
    pub marked: bool,
}

/// The entry of a decision.
#[inline(always)]
pub const fn entry(digest: u64, of: CachedVerdict) -> u64 {
    let marked = if of.marked { MARKED } else { 0 };
    digest & DIGEST | marked | of.cell as u64 & CELL
}

/// What the entry says, if it is of this digest.
#[inline(always)]
pub const fn look_up(entry: u64, digest: u64) -> Option<CachedVerdict> {
    if (entry ^ digest) & DIGEST == 0 {
        Some(CachedVerdict {
            cell: (entry & CELL) as u32,
            marked: entry & MARKED != 0,
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
