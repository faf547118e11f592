//! The words of what a program meets that `pinif run` has started.

use std::fmt;

use super::model::Meets;

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
