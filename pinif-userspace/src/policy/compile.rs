//! A policy as entries of the kernel's tables: a pure function.
//!
//! Each dimension (destination, source, ports, …) has a table that answers with the set of rules that a value
//! satisfies, those that do not look at this dimension included. The kernel intersects the answers, and the lowest rule
//! decides ([`pinif_ebpf::policy`]). A look-up in a trie answers with its longest prefix alone, so an entry holds the
//! rules of all prefixes around it too.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::IpNet;
use pinif_ebpf::enforce::{Action, until};
use pinif_ebpf::policy::{
    Active, Demand, DemandKey, NumberKey, PortKey, PrefixKey, RuleSet, Slot, ZoneSet,
};

use super::dimension::{self, Dimension as _, for_each_dimension};
use super::model::Policy;
use super::rule::Rule;

pub use super::dimension::Cgroups;
pub use super::trie::TrieEntry;

macro_rules! compiled {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// All that the kernel's tables hold of one policy.
        #[derive(Clone, Debug)]
        pub struct Compiled {
            /// The policy itself, to be published last: it names the slot, and what to answer for values without an entry.
            /// Whether it is enforced is the publisher's to say.
            pub active: Active,
            /// What each rule demands.
            pub demands: Vec<(DemandKey, Demand)>,
            $($(#[$doc])* pub $field: $table,)*
        }

        impl Compiled {
            /// The tables, with what they answer for values without an entry in `active`.
            fn of(rules: &[Rule], mut active: Active, demands: Vec<(DemandKey, Demand)>) -> Self {
                $(
                    let wanted: Vec<Vec<$value>> = rules
                        .iter()
                        .map(|rule| dimension::$dimension::wanted(&rule.$field, rule.looks_at_ports()).into_owned())
                        .collect();
                    let (any, $field) = dimension::$dimension::compile(&wanted, active.slot);
                    *dimension::$dimension::any(&mut active) = any;
                    if !dimension::$dimension::is_unused(&$field) {
                        active.dimensions |= dimension::$dimension::BIT;
                    }
                )*
                Self {
                    active,
                    demands,
                    $($field,)*
                }
            }
        }
    };
}
for_each_dimension!(compiled);

/// The entries of `policy` in the tables' half `slot`; `generation` is what sightings will name it by.
pub fn compile(policy: &Policy, slot: Slot, generation: u32) -> Compiled {
    let rules = &policy.rules;
    let contained = policy.zones.iter().enumerate();
    let contained = contained.filter(|(_, zone)| zone.contained);
    let active = Active {
        slot,
        generation,
        rules: rules.len() as u32,
        contained: zones(contained.map(|(number, _)| number)),
        enforce_until: until::NEVER,
        drops_unparsed: u32::from(!policy.passes_unparsed),
        has_exceptions: rules.iter().any(|rule| rule.action == Action::Allow).into(),
        ..Active::default()
    };
    let demands = rules.iter().enumerate();
    let demands = demands.map(|(number, rule)| demand(slot, number, rule));
    Compiled::of(rules, active, demands.collect())
}

fn demand(slot: Slot, number: usize, rule: &Rule) -> (DemandKey, Demand) {
    let key = DemandKey {
        slot,
        rule: number as u32,
    };
    let demand = Demand {
        only_via: zones(rule.only_via.iter().copied()),
        pinned: rule.pinned.into(),
        action: rule.action as u32,
        id: rule.id(),
        _pad: 0,
    };
    (key, demand)
}

fn zones(numbers: impl Iterator<Item = usize>) -> ZoneSet {
    let mut set = ZoneSet::EMPTY;
    numbers.for_each(|number| set.insert(number));
    set
}

#[cfg(test)]
pub(super) mod tests;
