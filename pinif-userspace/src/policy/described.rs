//! A policy in force, as texts: what it says, and not how it was written.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf};

use ipnet::IpNet;
use pinif_ebpf::enforce::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    dimension::{self, Dimension as _, for_each_dimension},
    model::Policy,
    rule::Rule,
};

/// What a policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// Its zones, in the order of the file.
    pub zones: Vec<DescribedZone>,
    /// Its rules, in the order of the file: the first that matches decides.
    pub rules: Vec<DescribedRule>,
}

/// A zone of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DescribedZone {
    /// Its name.
    pub name: String,
    /// Its interfaces: names, and patterns of names.
    pub interfaces: Vec<String>,
    /// Whether its addresses and traffic must stay inside it.
    pub contained: bool,
}

/// A rule of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DescribedRule {
    /// Its name.
    pub name: String,
    /// What it looks at (`destination`, `port`, `user`, …), each with the values that match; users, protocols and ports by number.
    pub matches: BTreeMap<String, Vec<String>>,
    /// The zones that the traffic may use; all where empty.
    pub only_via: Vec<String>,
    /// Whether the socket must be bound to a device.
    pub pinned: bool,
    /// What becomes of what breaks it: `alert`, `drop`, `allow`; null where the rule does not say.
    pub action: Option<String>,
}

impl Described {
    /// Of a policy.
    pub fn of(policy: &Policy) -> Self {
        let zone = |&number: &usize| policy.zones.get(number).map(|zone| zone.name.clone());
        Self {
            zones: policy
                .zones
                .iter()
                .map(|zone| DescribedZone {
                    name: zone.name.clone(),
                    interfaces: zone
                        .interfaces
                        .iter()
                        .map(|pattern| pattern.text().to_owned())
                        .collect(),
                    contained: zone.contained,
                })
                .collect(),
            rules: policy
                .rules
                .iter()
                .map(|rule| DescribedRule {
                    name: rule.name.clone(),
                    matches: matches(rule),
                    only_via: rule.only_via.iter().filter_map(zone).collect(),
                    pinned: rule.pinned,
                    action: action(rule.action).map(str::to_owned),
                })
                .collect(),
        }
    }
}

const fn action(action: Action) -> Option<&'static str> {
    match action {
        Action::Unsaid => None,
        Action::Alert => Some("alert"),
        Action::Drop => Some("drop"),
        Action::Allow => Some("allow"),
    }
}

macro_rules! matches {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        fn matches(rule: &Rule) -> BTreeMap<String, Vec<String>> {
            let mut all = BTreeMap::new();
            $(
                if !rule.$field.is_empty() {
                    let texts = rule.$field.iter().map(Text::text).collect();
                    all.insert(dimension::$dimension::KEY.name.to_owned(), texts);
                }
            )*
            all
        }
    };
}
for_each_dimension!(matches);

/// A value as text.
trait Text {
    fn text(&self) -> String;
}

impl Text for IpNet {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Text for RangeInclusive<u16> {
    fn text(&self) -> String {
        if self.start() == self.end() {
            self.start().to_string()
        } else {
            format!("{}-{}", self.start(), self.end())
        }
    }
}

impl Text for u8 {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Text for u32 {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Text for String {
    fn text(&self) -> String {
        self.clone()
    }
}

impl Text for PathBuf {
    fn text(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_in_force_is_said() {
        let text = r#"
            [zone.backplane]
            interfaces = ["fab*", "bp0"]
            contained = true

            [[rule]]
            name = "control-plane"
            destination = "10.0.0.0/8"
            port = ["9", "100-200"]
            protocol = "udp"
            executable = "/usr/sbin/fabd"
            only_via = ["backplane"]
            pinned = true
            action = "drop"

            [[rule]]
            name = "all"
            user = 998
            pinned = true
        "#;
        let policy = Policy::parse(text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
        let described = Described::of(&policy);
        let matches = |key: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned());
            (key.to_owned(), values.collect::<Vec<_>>())
        };
        assert_eq!(
            described,
            Described {
                zones: vec![DescribedZone {
                    name: "backplane".to_owned(),
                    interfaces: vec!["fab*".to_owned(), "bp0".to_owned()],
                    contained: true,
                }],
                rules: vec![
                    DescribedRule {
                        name: "control-plane".to_owned(),
                        matches: BTreeMap::from([
                            matches("destination", &["10.0.0.0/8"]),
                            matches("port", &["9", "100-200"]),
                            matches("protocol", &["17"]),
                            matches("executable", &["/usr/sbin/fabd"]),
                        ]),
                        only_via: vec!["backplane".to_owned()],
                        pinned: true,
                        action: Some("drop".to_owned()),
                    },
                    DescribedRule {
                        name: "all".to_owned(),
                        matches: BTreeMap::from([matches("user", &["998"])]),
                        only_via: Vec::new(),
                        pinned: true,
                        action: None,
                    },
                ],
            }
        );
    }
}
