//! A key of a policy file: its type, an example for the messages, and what an editor says of it.

use super::problem::Flaw;

/// A key, what it takes, what a message shows as an example, and what it means.
pub(super) struct Key {
    pub name: &'static str,
    pub takes: Takes,
    pub example: &'static str,
    pub about: &'static str,
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
    /// A date, in quotes or not.
    Date,
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
            Self::Date => "a date",
            Self::TextsOrNumbers => "a number or text in quotes, or a list of them",
        }
    }
}

pub(super) const fn key(
    name: &'static str,
    takes: Takes,
    example: &'static str,
    about: &'static str,
) -> Key {
    Key {
        name,
        takes,
        example,
        about,
    }
}
