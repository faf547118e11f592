//! What a check found: that it is there, what is lacking and how to fix that, or what a person should know.

/// Why something could not be looked at, where the lack of privileges is reported already.
pub const NEEDS_ROOT: &str = "that needs root, too";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// What was found.
    pub outcome: Outcome,
}

impl Check {
    pub(super) fn new(name: &'static str, outcome: Outcome) -> Self {
        Self { name, outcome }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there; this is what.
    Ok(String),
    /// It is not.
    Lack {
        /// What is lacking, and what that means.
        why: String,
        /// What to do about it.
        fix: String,
        /// Whether nothing can be audited without it.
        fatal: bool,
    },
    /// It is as it is, and a person should know.
    Note(String),
}

impl Outcome {
    pub(super) fn fatal(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Lack {
            why: why.into(),
            fix: fix.into(),
            fatal: true,
        }
    }

    pub(super) fn lack(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Lack {
            why: why.into(),
            fix: fix.into(),
            fatal: false,
        }
    }
}

/// The first thing without which nothing can be audited, as one sentence with its fix.
pub fn obstacle(checks: &[Check]) -> Option<String> {
    checks.iter().find_map(|check| match &check.outcome {
        Outcome::Lack {
            why,
            fix,
            fatal: true,
        } => Some(format!("{why}; {fix}")),
        _ => None,
    })
}
