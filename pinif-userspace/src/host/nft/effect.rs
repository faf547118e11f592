//! What a rule of nftables does that may change where a packet leaves.

use pinif_ebpf::key::IfIndex;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    /// It sets packets' marks; `None`, to one that it computes.
    Mark(Option<MarkSet>),
    /// It sends packets, or copies of them, by this interface; `None`, one that it computes.
    Redirect(Option<IfIndex>),
}

/// What a rule makes of a packet's mark: the bits of `mask` become those of `value`, the others stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MarkSet {
    /// No bit of it is outside the mask.
    pub value: u32,
    /// All ones where the whole mark is set.
    pub mask: u32,
}

impl MarkSet {
    /// The whole mark.
    pub const fn whole(value: u32) -> Self {
        Self {
            value,
            mask: u32::MAX,
        }
    }

    /// Whether it sets the whole mark.
    pub const fn is_whole(self) -> bool {
        self.mask == u32::MAX
    }

    /// Whether a packet whose mark it has set may have this one. One that only clears bits gives none.
    pub const fn may_give(self, mark: u32) -> bool {
        mark & self.mask == self.value && (self.value != 0 || self.is_whole())
    }
}
