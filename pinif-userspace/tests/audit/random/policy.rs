//! A topology's policy as a file has it.

use super::topology::{Policy, Prefix, Topology};

impl Prefix {
    /// Both families.
    fn texts(self) -> [String; 2] {
        match self {
            Self::Net(net) => [format!("10.{net}.0.0/16"), format!("fd00:{net}::/32")],
            Self::Inside => ["10.0.0.0/8".to_owned(), "fd00::/16".to_owned()],
        }
    }
}

/// The policy, in TOML.
pub fn text(topology: &Topology) -> String {
    let Policy { zones, rules } = &topology.policy;
    let mut text = String::new();
    for (number, zone) in zones.iter().enumerate() {
        let names: Vec<_> = zone.devices.iter().map(|&id| topology.name(id)).collect();
        let contained = zone.contained;
        text += &format!("[zone.z{number}]\ninterfaces = {names:?}\ncontained = {contained}\n");
    }
    for (number, rule) in rules.iter().enumerate() {
        let to: Vec<_> = rule.to.iter().flat_map(|prefix| prefix.texts()).collect();
        text += &format!("[[rule]]\nname = \"r{number}\"\ndestination = {to:?}\n");
        if !rule.only_via.is_empty() {
            let zones: Vec<_> = rule
                .only_via
                .iter()
                .map(|zone| format!("z{zone}"))
                .collect();
            text += &format!("only_via = {zones:?}\n");
        }
        text += &match rule.allows {
            true => "action = \"allow\"\n".to_owned(),
            false => format!("pinned = {}\n", rule.pinned),
        };
    }
    text
}
