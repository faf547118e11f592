//! What the decision about what arrives may ask: the maps of this namespace; and, once it was looked for, who receives the packet.

use pinif_ebpf::{
    intent::Owner,
    key::{Address, IfIndex},
    policy::{RuleSet, Slot, Tables},
    verdict::arrival::{IngressPolicy, Premises},
};

use crate::{
    kernel,
    state::{arriving::Arriving, ingress_policy, owners, policy},
};

/// What the maps know of this namespace, and who receives the packet.
pub struct ArrivalWorld<'a> {
    /// The packet, once its receiver was looked for.
    pub arriving: Option<&'a Arriving>,
}

impl ArrivalWorld<'_> {
    #[inline(always)]
    fn owner(&self) -> Option<&Owner> {
        self.arriving
            .as_ref()
            .map(|arriving| &arriving.new.state.sighting.owner)
    }
}

impl Premises for ArrivalWorld<'_> {
    #[inline(always)]
    fn owner(&self, address: &Address) -> Option<IfIndex> {
        owners::of(kernel::netns(), address)
    }

    #[inline(always)]
    fn ingress_policy(&self, slot: Slot, interface: IfIndex) -> Option<&IngressPolicy> {
        ingress_policy::of(kernel::netns(), slot, interface)
    }
}

impl Tables for ArrivalWorld<'_> {
    policy::answers_whoever_sends!();

    #[inline(always)]
    fn by_user(&self, slot: Slot) -> Option<RuleSet> {
        policy::by_user(slot, Self::owner(self)?.uid)
    }

    #[inline(always)]
    fn by_cgroup(&self, _slot: Slot) -> Option<RuleSet> {
        self.arriving.map(|arriving| arriving.cgroup_rules)
    }

    #[inline(always)]
    fn by_executable(&self, slot: Slot) -> Option<RuleSet> {
        let owner = Self::owner(self)?;
        policy::by_executable(slot, owner.executable_inode, owner.executable_device)
    }
}
