//! What the maps know, for the packet that is being judged, or the group that is about to be joined.

use pinif_ebpf::{
    intent::Owner,
    key::{Address, IfIndex, NetNsCookie},
    policy::{RuleSet, Slot, Tables, ZoneSet, flags},
    verdict::World,
};

use crate::{
    kernel::packet::Skb,
    state::{lower_devices, owners, policy},
};

/// How deep cgroups are followed for rules that name one.
pub const MAX_CGROUP_DEPTH: i32 = 16;

/// The cgroups of a socket, as far as rules name them.
pub trait Cgroups {
    /// The rules of the deepest that one names: its set has the rules of those above.
    fn deepest(&self, slot: Slot) -> Option<&RuleSet>;
}

impl Cgroups for Skb {
    #[inline(always)]
    fn deepest(&self, slot: Slot) -> Option<&RuleSet> {
        let mut deepest = None;
        for level in 0..MAX_CGROUP_DEPTH {
            let cgroup = self.cgroup_at(level);
            if cgroup == 0 {
                break;
            }
            let found = policy::by_cgroup(slot, cgroup);
            if found.is_some() {
                deepest = found;
            }
        }
        deepest
    }
}

/// Those that were looked for before.
impl Cgroups for &RuleSet {
    #[inline(always)]
    fn deepest(&self, _slot: Slot) -> Option<&RuleSet> {
        Some(self)
    }
}

/// The namespace and the sender of this packet.
pub struct MapWorld<'a, C: Cgroups> {
    /// The namespace that it is in.
    pub netns: NetNsCookie,
    /// The cgroups of its socket.
    pub cgroups: C,
    /// The process that sent it, or the one whose packet it is a copy of; of none, a user, a cgroup and an executable
    /// that no rule names.
    pub owner: &'a Owner,
}

impl<C: Cgroups> World for MapWorld<'_, C> {
    #[inline(always)]
    fn is_lower_of(&self, lower: IfIndex, upper: IfIndex) -> bool {
        lower_devices::is_lower_of(self.netns, lower, upper)
    }

    #[inline(always)]
    fn sole_owner(&self, address: &Address) -> IfIndex {
        owners::of(self.netns, address).unwrap_or(IfIndex::NONE)
    }

    #[inline(always)]
    fn zones(&self, slot: Slot, interface: IfIndex) -> ZoneSet {
        policy::zones(self.netns, slot, interface)
    }

    #[inline(always)]
    fn leads_nowhere(&self, slot: Slot, interface: IfIndex) -> bool {
        policy::about(self.netns, slot, interface) & flags::LEADS_NOWHERE != 0
    }
}

impl<C: Cgroups> Tables for MapWorld<'_, C> {
    policy::answers_whoever_sends!();

    #[inline(always)]
    fn by_user(&self, slot: Slot) -> Option<RuleSet> {
        policy::by_user(slot, self.owner.uid)
    }

    #[inline(always)]
    fn by_cgroup(&self, slot: Slot) -> Option<RuleSet> {
        let mut deepest = self.cgroups.deepest(slot);
        // The socket's own, however deep it is.
        let own = policy::by_cgroup(slot, self.owner.cgroup);
        if own.is_some() {
            deepest = own;
        }
        deepest.copied()
    }

    #[inline(always)]
    fn by_executable(&self, slot: Slot) -> Option<RuleSet> {
        let owner = self.owner;
        policy::by_executable(slot, owner.executable_inode, owner.executable_device)
    }
}
