//! What a program meets that is held to an interface.

use std::fmt;

/// What a program that names another interface meets, where `pinif run` or `pinif pin` holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// Nothing: it names none.
    Nothing,
    /// What it sends by another is dropped.
    Dropped,
    /// The same; and where it sets this option to another, that fails (`EINVAL`).
    DroppedOrFails(&'static str),
    /// It sets this option to another, which fails.
    Fails(&'static str),
    /// It may not bind its sockets to another, or to none (`EPERM`).
    Refused,
}

impl fmt::Display for Meets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Dropped => f.write_str(", which drops what would leave by another interface"),
            Self::DroppedOrFails(option) => write!(
                f,
                "{}; there, {option} of another fails (EINVAL)",
                Self::Dropped
            ),
            Self::Fails(option) => {
                write!(f, ", where {option} of another interface fails (EINVAL)")
            }
            Self::Refused => f.write_str(", which refuses to bind its sockets otherwise"),
        }
    }
}
