//! The indexes of interfaces that stand for those of another namespace.

use pinif_ebpf::key::IfIndex;

/// By how much the index of each stand-in is greater than that of what it stands for. Loopback is 1 in every namespace
/// (`LOOPBACK_IFINDEX`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering(u32);

impl Numbering {
    /// A namespace's own interfaces.
    pub const OWN: Self = Self(0);
    /// Stand-ins in a new namespace: beyond the indexes of the interfaces that the kernel makes there by itself, tunnels
    /// without an end (`net.core.fb_tunnels_only_for_init_net`).
    pub const STAND_INS: Self = Self(1 << 24);

    /// The index of the stand-in. One that no interface can have is left to the kernel to refuse.
    pub fn stand_in(self, index: IfIndex) -> IfIndex {
        if index.0 <= IfIndex::LOOPBACK.0 {
            index
        } else {
            IfIndex(index.0.saturating_add(self.0))
        }
    }

    /// The index of what a stand-in stands for; none of an interface that stands for nothing.
    pub fn stands_for(self, index: IfIndex) -> Option<IfIndex> {
        if index.0 <= IfIndex::LOOPBACK.0 {
            return Some(index);
        }
        let index = index.0.checked_sub(self.0).map(IfIndex)?;
        (index.0 > IfIndex::LOOPBACK.0).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_leads_back_to_its_original() {
        for numbering in [Numbering::OWN, Numbering::STAND_INS] {
            for index in [0, 1, 2, 77, 1 << 20] {
                let stand_in = numbering.stand_in(IfIndex(index));
                assert_eq!(numbering.stands_for(stand_in), Some(IfIndex(index)));
            }
        }
        assert_eq!(Numbering::OWN.stand_in(IfIndex(7)), IfIndex(7));
    }

    #[test]
    fn what_the_kernel_made_by_itself_stands_for_nothing() {
        assert_eq!(Numbering::STAND_INS.stands_for(IfIndex(2)), None);
        assert_eq!(
            Numbering::STAND_INS.stands_for(IfIndex((1 << 24) + 1)),
            None
        );
    }
}
