//! What a packet's control block has of ours: the marks by which an interface knows what the one above has counted, and the room that the
//! packet in work has.

use core::{
    arch::asm,
    mem::offset_of,
    ptr::{addr_of, addr_of_mut},
};

use aya_ebpf::{Global, bindings::__sk_buff};
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

    /// Sets aside what a look-up of a socket takes for the flags of the IP layer, which has not had the packet yet, and returns it: before
    /// Linux 6.5 (in the stable series: 6.1.39), `bpf_sk_lookup_udp` and its like read there whether the packet came by a VRF (`inet_sdif`,
    /// `inet6_sdif`), and find no socket that is bound to nothing if it says so. A mark is there where the packet left another interface of the host.
    #[inline(always)]
    pub fn set_flags_aside(self) -> [u32; 2] {
        let flags = [member!(self.0, cb[2]), member!(self.0, cb[3])];
        self.write_flags([0; 2]);
        flags
    }

    /// Writes back what [`Self::set_flags_aside`] returned.
    #[inline(always)]
    pub fn write_flags(self, flags: [u32; 2]) {
        // SAFETY: as in `mark_passed`.
        unsafe {
            addr_of_mut!((*self.0).cb[2]).write_volatile(flags[0]);
            addr_of_mut!((*self.0).cb[3]).write_volatile(flags[1]);
        }
    }

    /// The number of its room ([`crate::state::scratch`]).
    #[inline(always)]
    pub fn room(self) -> u32 {
        let room: u64;
        // SAFETY: the context is valid, and the verifier checks the access. Not by a pointer to the member, which the compiler would keep for
        // the next access: the verifier refuses one that goes by a pointer into the context.
        unsafe {
            asm!(
                "{room} = *(u32 *)({context} + {room_at})",
                room = out(reg) room,
                context = in(reg) self.0,
                room_at = const offset_of!(__sk_buff, cb),
                options(nostack, readonly),
            );
        }
        room as u32
    }

    /// Has its steps find another room. What is here belongs to nobody at TC egress (`qdisc_skb_cb.data`), and is the program's own at the
    /// cgroup (`__bpf_prog_run_save_cb`).
    #[inline(always)]
    pub fn set_room(self, room: u32) {
        // SAFETY: as above.
        unsafe {
            asm!(
                "*(u32 *)({context} + {room_at}) = {room}",
                context = in(reg) self.0,
                room = in(reg) u64::from(room),
                room_at = const offset_of!(__sk_buff, cb),
                options(nostack),
            );
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
