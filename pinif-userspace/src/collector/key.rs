//! What the collector knows a finding by.

use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
};

use crate::findings::gaps::GapKey;

/// What distinguishes a finding from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// What the kernel counts: its counter's key.
    Counted(FindingKey),
    /// What it cannot see.
    Gap(GapKey),
}

impl Key {
    /// The namespace that the finding is in.
    pub fn netns(&self) -> NetNsCookie {
        match self {
            Self::Counted(key) => key.netns,
            Self::Gap(key) => key.netns,
        }
    }

    /// The interface that the finding is at; none, if it may be any.
    pub fn egress(&self) -> Option<IfIndex> {
        match self {
            Self::Counted(key) => Some(key.egress),
            Self::Gap(key) => key.interface,
        }
    }

    /// The bound device of the socket that sent.
    pub fn bound(&self) -> Option<IfIndex> {
        match self {
            Self::Counted(key) => Some(key.bound).filter(|bound| bound.is_some()),
            Self::Gap(_) => None,
        }
    }
}
