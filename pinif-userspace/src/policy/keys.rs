//! The keys of a policy file: one line each, with its type and an example for the messages.

use std::iter;

use super::{
    dimension::{self, Dimension as _, for_each_dimension},
    problem::Flaw,
};

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
        Flaw::new(format!("`{name}` is an empty list")).fix(format!(
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

pub(super) const fn key(name: &'static str, takes: Takes, example: &'static str) -> Key {
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

/// Below `[[rule]]`, besides the dimensions.
const NAME: Key = key("name", Takes::Text, r#""control-plane""#);
const DEMANDS: [Key; 3] = [
    key("only_via", Takes::Texts, r#"["backplane"]"#),
    key("pinned", Takes::Truth, "true"),
    key("action", Takes::Text, r#""drop""#),
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

/// The key of a rule that other tools call so.
pub(super) fn other_name(word: &str) -> Option<&'static str> {
    let mut dimensions = DIMENSIONS.iter();
    let dimension = dimensions.find(|(_, others)| others.contains(&word));
    match word {
        "via" | "zone" => Some("only_via"),
        _ => dimension.map(|(key, _)| key.name),
    }
}
