//! The policy file as it is written: its zones, rules and values, with the place of each.

use std::{borrow::Cow, collections::BTreeMap};

use toml::Spanned;

use super::problem::Span;

/// A file whose parts have the right types.
#[derive(Debug, Default)]
pub(super) struct RawPolicy {
    pub zones: Vec<RawZone>,
    pub rules: Vec<RawRule>,
    pub accepts: Vec<RawAccept>,
    pub unparsed: Option<Spanned<String>>,
    /// Whether there may be zones that could not be read.
    pub lost_zones: bool,
}

/// `[zone.NAME]`
#[derive(Debug)]
pub(super) struct RawZone {
    pub name: Spanned<String>,
    pub interfaces: Option<List>,
    pub contained: bool,
    /// Whether a part of it was not understood, so that what is missing may be there.
    pub incomplete: bool,
}

/// `[[rule]]`
#[derive(Debug)]
pub(super) struct RawRule {
    /// Its header.
    pub header: Span,
    pub name: Option<Spanned<String>>,
    /// Every key but `name`, `pinned` and `action`, each a list; a single value is a list of one.
    pub lists: BTreeMap<&'static str, List>,
    /// The key `pinned`, where it is true.
    pub pinned: Option<Span>,
    pub action: Option<Spanned<String>>,
    /// Whether a part of it was not understood, so that what is missing may be there.
    pub incomplete: bool,
}

/// `[[accept]]`
#[derive(Debug)]
pub(super) struct RawAccept {
    /// Its header.
    pub header: Span,
    /// Every key but `reason` and `until`, each a list; a single value is a list of one.
    pub lists: BTreeMap<&'static str, List>,
    pub reason: Option<Spanned<String>>,
    /// A date, as it is written.
    pub until: Option<Spanned<String>>,
    /// Whether a part of it was not understood, so that what is missing may be there.
    pub incomplete: bool,
}

/// The values of a key.
#[derive(Debug)]
pub(super) struct List {
    pub key: Span,
    pub values: Vec<Spanned<Scalar>>,
}

/// One value of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Text(String),
    Number(i128),
}

impl Scalar {
    pub fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
        }
    }
}
