//! The keys of a policy file: one line each, with its type and an example for the messages.

use super::problem::Flaw;

/// A key, what it takes, and what a message shows as an example.
pub(super) struct Key {
    pub name: &'static str,
    pub takes: Takes,
    pub example: &'static str,
}

/// The types of values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// One text.
    Text,
    /// `true` or `false`.
    Truth,
    /// A text or a list of texts.
    Texts,
    /// A text or a number, or a list of them.
    TextsOrNumbers,
}

impl Key {
    /// What is wrong with an empty list of it.
    pub fn empty(&self) -> Flaw {
        let Self { name, example, .. } = self;
        let optional = if *name == "interfaces" {
            String::new()
        } else {
            format!(", or leave `{name}` out")
        };
        Flaw::new(format!("`{name}` is an empty list")).mend(format!(
            "name at least one, as in `{name} = {example}`{optional}"
        ))
    }
}

impl Takes {
    pub fn described(self) -> &'static str {
        match self {
            Self::Text => "text in quotes",
            Self::Truth => "`true` or `false`",
            Self::Texts => "text in quotes, or a list of it",
            Self::TextsOrNumbers => "a number or text in quotes, or a list of them",
        }
    }
}

const fn key(name: &'static str, takes: Takes, example: &'static str) -> Key {
    Key {
        name,
        takes,
        example,
    }
}

/// Below `[zone.NAME]`.
pub(super) const ZONE_KEYS: [Key; 2] = [
    key("interfaces", Takes::Texts, r#"["fab*"]"#),
    key("contained", Takes::Truth, "true"),
];

/// Below `[[rule]]`.
pub(super) const RULE_KEYS: [Key; 12] = [
    key("name", Takes::Text, r#""control-plane""#),
    key("destination", Takes::Texts, r#"["10.0.0.0/8", "fd00::/8"]"#),
    key("source", Takes::Texts, r#"["10.0.0.0/8", "fd00::/8"]"#),
    key("port", Takes::TextsOrNumbers, r#"[53, "8000-8999"]"#),
    key("source_port", Takes::TextsOrNumbers, r#"[53, "8000-8999"]"#),
    key("protocol", Takes::TextsOrNumbers, r#"["tcp", "udp"]"#),
    key("user", Takes::TextsOrNumbers, r#"["fabd", 998]"#),
    key("cgroup", Takes::Texts, r#"["/system.slice/fabd.service"]"#),
    key("executable", Takes::Texts, r#"["/usr/sbin/fabd"]"#),
    key("only_via", Takes::Texts, r#"["backplane"]"#),
    key("pinned", Takes::Truth, "true"),
    key("action", Takes::Text, r#""drop""#),
];

/// What other tools call the keys of a rule.
pub(super) const OTHER_NAMES: [(&str, &str); 12] = [
    ("dst", "destination"),
    ("to", "destination"),
    ("src", "source"),
    ("from", "source"),
    ("dport", "port"),
    ("destination_port", "port"),
    ("sport", "source_port"),
    ("proto", "protocol"),
    ("uid", "user"),
    ("exe", "executable"),
    ("via", "only_via"),
    ("zone", "only_via"),
];
