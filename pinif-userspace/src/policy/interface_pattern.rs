//! How a policy names interfaces.

use std::fmt;

use globset::GlobMatcher;

/// A name or a glob for the names of interfaces.
#[derive(Clone)]
pub struct InterfacePattern {
    text: String,
    /// None for a name, which needs none.
    glob: Option<GlobMatcher>,
}

impl InterfacePattern {
    pub(super) fn name(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            glob: None,
        }
    }

    pub(super) fn glob(text: &str, glob: GlobMatcher) -> Self {
        Self {
            text: text.to_owned(),
            glob: Some(glob),
        }
    }

    /// As it is in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether an interface of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(name),
            None => self.text == name,
        }
    }
}

impl fmt::Debug for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
