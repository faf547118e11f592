//! The marks by which an interface knows what the one above has counted.

use core::ptr::{addr_of, addr_of_mut};

use aya_ebpf::Global;
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use super::Skb;

/// Distinguishes this auditor's marks from whatever else is in a packet's control block, and keeps others from guessing which
/// packets share a cached verdict; userspace sets a random one.
#[unsafe(no_mangle)]
static MARK_SECRET: Global<u32> = Global::new(0);

impl Skb {
    /// The interface above this one that has counted the packet before; none if this is the first that does.
    ///
    /// A device that is stacked on another hands the `skb` on, or clones of it, with its control block
    /// (`dev_queue_xmit` from `ndo_start_xmit`: VLAN, bond, team, macvlan). A bridge clears it (`br_dev_xmit`), and so
    /// does the IP layer that a tunnel sends through.
    #[inline(always)]
    pub fn passed_above(self, netns: NetNsCookie) -> IfIndex {
        let above = IfIndex(member!(self.0, cb[4]));
        if above.is_some()
            && above != self.interface()
            && member!(self.0, cb[3]) == seal(netns, above)
        {
            above
        } else {
            IfIndex::NONE
        }
    }

    /// Marks the packet as counted on this interface, for the one below. In the last two words of what the control block
    /// has for programs: qdiscs write to the first (`fq_skb_cb`, `cobalt_skb_cb`, `netem_skb_cb`).
    #[inline(always)]
    pub fn mark_passed(self, netns: NetNsCookie) {
        let here = self.interface();
        // SAFETY: the context is valid, and the verifier checks the access; volatile for the reason of `member`.
        unsafe {
            addr_of_mut!((*self.0).cb[3]).write_volatile(seal(netns, here));
            addr_of_mut!((*self.0).cb[4]).write_volatile(here.0);
        }
    }
}

/// What only this auditor writes for an interface: an index alone would mean another interface in another namespace,
/// which a packet may reach with its control block.
#[inline(always)]
fn seal(netns: NetNsCookie, interface: IfIndex) -> u32 {
    let netns = (netns.0 as u32).wrapping_mul(0x9e37_79b1);
    MARK_SECRET.load() ^ netns ^ interface.0.wrapping_mul(0x85eb_ca6b)
}

/// What nobody can foresee, for what is remembered of a namespace's packets.
#[inline(always)]
pub fn secret_of(netns: NetNsCookie) -> u64 {
    (u64::from(MARK_SECRET.load()) << 32) ^ netns.0
}
