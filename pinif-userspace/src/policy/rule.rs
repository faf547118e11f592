//! A rule: which traffic, and what is demanded of it.

use std::{ops::RangeInclusive, path::PathBuf};

use ipnet::IpNet;
use pinif_ebpf::enforce::Action;

use super::dimension::for_each_dimension;
use crate::text::hash::fnv1a;

macro_rules! rule {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// Which traffic, and what is demanded of it. A packet matches when it satisfies every list that is not empty, and it
        /// satisfies a list by any one of its entries.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Rule {
            /// Its name; unique.
            pub name: String,
            $($(#[$doc])* pub $field: Vec<$value>,)*
            /// Demands that it leaves by one of these zones, by their index; no demand where empty.
            pub only_via: Vec<usize>,
            /// Demands a bound device.
            pub pinned: bool,
            /// What becomes of a packet that breaks it, where the policy is enforced.
            pub action: Action,
        }
    };
}
for_each_dimension!(rule);

impl Rule {
    /// What a rule of this name has in every policy, by which a finding stays the same; not zero.
    pub fn id(&self) -> u32 {
        (fnv1a(self.name.bytes()) as u32).max(1)
    }

    /// Whether it is for all that goes to its destinations, whoever sends it and whatever it is.
    pub(super) fn is_of_destinations(&self) -> bool {
        let of_destinations = Self {
            name: self.name.clone(),
            destinations: self.destinations.clone(),
            only_via: self.only_via.clone(),
            pinned: self.pinned,
            action: self.action,
            ..Self::default()
        };
        *self == of_destinations
    }

    /// Whether it may be for something that goes to this network.
    pub(super) fn touches(&self, network: &IpNet) -> bool {
        let mut all = self.destinations.iter();
        self.destinations.is_empty()
            || all.any(|own| own.contains(network) || network.contains(own))
    }

    /// Whether it looks at ports, which not every protocol has.
    pub(super) fn looks_at_ports(&self) -> bool {
        !self.ports.is_empty() || !self.source_ports.is_empty()
    }
}
