//! A policy without errors: its zones and its rules.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use pinif_ebpf::policy::ZoneSet;

use super::{
    acceptance::Accept, interface_pattern::InterfacePattern, problem::Problem, rule::Rule,
};

/// A policy without errors. The default is the empty one, which demands nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The zones, in the order of the file.
    pub zones: Vec<Zone>,
    /// The rules, in the order of the file: the first that matches decides.
    pub rules: Vec<Rule>,
    /// Whether packets whose headers cannot be read leave wherever they do while it is enforced. Else they are dropped where they
    /// might break it.
    pub passes_unparsed: bool,
    /// What is accepted for a time, in the order of the files: nothing of it reaches the kernel.
    pub accepts: Vec<Accept>,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Problem>,
    /// The file that it was read from.
    pub file: Option<PolicyFile>,
}

/// The file that a policy was read from, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its path, as it was named.
    pub path: PathBuf,
    /// The SHA-256 of what was in it, as `sha256sum` prints it.
    pub digest: String,
}

/// A named set of interfaces.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name; unique.
    pub name: String,
    /// Names and globs; never empty.
    pub interfaces: Vec<InterfacePattern>,
    /// Whether its addresses and traffic must stay inside it.
    pub contained: bool,
}

impl Policy {
    /// The number of the rule that has this id.
    pub fn rule_with(&self, id: u32) -> Option<usize> {
        self.rules.iter().position(|rule| rule.id() == id)
    }

    /// Whether it keeps anything inside: a contained zone, or what a rule lets leave by some zones alone.
    pub fn keeps_inside(&self) -> bool {
        let mut rules = self.rules.iter();
        self.zones.iter().any(|zone| zone.contained) || rules.any(|rule| !rule.only_via.is_empty())
    }

    /// The network of a rule, by its number, that an address is in, where that rule decides of all that goes there: it asks for nothing
    /// else, and no rule before it does.
    pub fn whole_network(&self, rule: usize, to: IpAddr) -> Option<IpNet> {
        let own = self
            .rules
            .get(rule)
            .filter(|own| own.is_of_destinations())?;
        let networks = own.destinations.iter().filter(|own| own.contains(&to));
        let network = networks.max_by_key(|network| network.prefix_len())?;
        let before = &self.rules[..rule];
        (!before.iter().any(|before| before.touches(network))).then_some(*network)
    }

    /// Whether a rule, by its number, allows an interface of this name.
    pub fn allows(&self, rule: usize, name: &str) -> bool {
        let zones = self.zones_of(name);
        let rule = self.rules.get(rule);
        rule.is_some_and(|rule| rule.only_via.iter().any(|&zone| zones.contains(zone)))
    }

    /// The zones that name an interface so; there may be several. Which it is in, [`membership`](super::membership()) says.
    pub fn zones_of(&self, interface_name: &str) -> ZoneSet {
        let mut zones = ZoneSet::EMPTY;
        for (number, zone) in self.zones.iter().enumerate() {
            if zone
                .interfaces
                .iter()
                .any(|pattern| pattern.matches(interface_name))
            {
                zones.insert(number);
            }
        }
        zones
    }
}
