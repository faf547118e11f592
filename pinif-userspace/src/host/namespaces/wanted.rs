//! Which namespaces are wanted, by their names.

use globset::GlobMatcher;

/// Which of the namespaces that there are, and will be, are wanted.
#[derive(Clone, Debug, Default)]
pub enum Wanted {
    /// None but those that were named.
    #[default]
    Named,
    /// Those whose name one of the globs matches.
    Matching(Vec<GlobMatcher>),
    /// All.
    All,
}

impl Wanted {
    /// Whether a namespace with this name is.
    pub fn is(&self, name: &str) -> bool {
        match self {
            Self::Named => false,
            Self::Matching(globs) => globs
                .iter()
                .any(|glob| glob.is_match(name) || glob.glob().glob() == name),
            Self::All => true,
        }
    }

    /// Whether there may be more than those that were named.
    pub fn may_be_more(&self) -> bool {
        !matches!(self, Self::Named)
    }
}

#[cfg(test)]
mod tests {
    use globset::Glob;

    use super::*;

    #[test]
    fn names_are_wanted_as_they_are_and_as_globs() {
        let globs = ["web-*", "net:[7]"].map(|glob| {
            Glob::new(glob)
                .map(|glob| glob.compile_matcher())
                .expect("a glob")
        });
        let wanted = Wanted::Matching(globs.to_vec());
        assert!(wanted.is("web-1") && wanted.is("net:[7]"));
        assert!(!wanted.is("db-1") && wanted.may_be_more());
        assert!(Wanted::All.is("db-1") && !Wanted::Named.is("web-1"));
        assert!(!Wanted::Named.may_be_more());
    }
}
