//! The keys of a policy file: those of a zone and those of a rule.

use std::iter;

use super::{
    dimension::{self, Dimension as _, for_each_dimension},
    key::{Key, Takes, key},
};

/// Above all tables.
pub(super) const UNPARSED: Key = key(
    "unparsed",
    Takes::Text,
    r#""drop""#,
    "What becomes of a packet whose headers cannot be read, where the policy is enforced.",
);

/// Below `[zone.NAME]`.
pub(super) const ZONE_KEYS: [Key; 2] = [
    key(
        "interfaces",
        Takes::Texts,
        r#"["fab*"]"#,
        "The interfaces of the zone: names, and patterns of names.",
    ),
    key(
        "contained",
        Takes::Truth,
        "true",
        "Whether its addresses and its traffic must not be seen outside it.",
    ),
];

/// Below `[[rule]]`, besides the dimensions.
const NAME: Key = key(
    "name",
    Takes::Text,
    r#""control-plane""#,
    "The rule's own name, by which findings show it.",
);
const DEMANDS: [Key; 3] = [
    key(
        "only_via",
        Takes::Texts,
        r#"["backplane"]"#,
        "The zones that the traffic may leave by, and arrive by.",
    ),
    key(
        "pinned",
        Takes::Truth,
        "true",
        "Whether the socket must be bound to a device.",
    ),
    key(
        "action",
        Takes::Text,
        r#""drop""#,
        "What becomes of what breaks the rule; or that the rule is an exception.",
    ),
];

macro_rules! keys {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// Of each dimension, its key and what other tools call it.
        const DIMENSIONS: &[(Key, &[&str])] =
            &[$((dimension::$dimension::KEY, dimension::$dimension::OTHER_NAMES)),*];
    };
}
for_each_dimension!(keys);

/// Below `[[rule]]`, in the order in which a message lists them.
pub(super) fn rule_keys() -> impl Iterator<Item = &'static Key> {
    let dimensions = DIMENSIONS.iter().map(|(key, _)| key);
    iter::once(&NAME).chain(dimensions).chain(&DEMANDS)
}

/// Below `[[accept]]`, in the order in which a message lists them.
pub(super) const ACCEPT_KEYS: [Key; 9] = [
    key(
        "kind",
        Takes::Texts,
        r#"["address-escape"]"#,
        "The kinds of the findings that are accepted.",
    ),
    key(
        "rule",
        Takes::Texts,
        r#"["control-plane"]"#,
        "The rules that they break.",
    ),
    dimension::Executable::KEY,
    dimension::User::KEY,
    key(
        "subject",
        Takes::Texts,
        r#"["receiver icmp 10.0.0.1"]"#,
        "What they are about that is no program, as `pinif accept` writes it.",
    ),
    key(
        "destination",
        Takes::Texts,
        r#"["10.0.0.0/8", "fd00::/8"]"#,
        "Where their packets went: every destination is in one of these.",
    ),
    key(
        "interface",
        Takes::Texts,
        r#"["eth*"]"#,
        "Where the packets left, or arrived: names, and patterns of names.",
    ),
    key(
        "reason",
        Takes::Text,
        r#""known, is replaced in May: TICKET-7""#,
        "Why they are accepted.",
    ),
    key(
        "until",
        Takes::Date,
        "2030-12-31",
        "The last day on which they are accepted, in UTC; or a moment, with its time zone.",
    ),
];

/// The key of an `[[accept]]` that other words are used for.
pub(super) fn other_accept_name(word: &str) -> Option<&'static str> {
    match word {
        "exe" | "program" => Some("executable"),
        "uid" => Some("user"),
        "egress" | "egress_interface" | "via" => Some("interface"),
        "because" | "comment" | "why" => Some("reason"),
        "expires" | "expiry" | "end" => Some("until"),
        _ => None,
    }
}

/// The key of a rule that other tools call so.
pub(super) fn other_name(word: &str) -> Option<&'static str> {
    let mut dimensions = DIMENSIONS.iter();
    let dimension = dimensions.find(|(_, others)| others.contains(&word));
    match word {
        "via" | "zone" => Some("only_via"),
        _ => dimension.map(|(key, _)| key.name),
    }
}
