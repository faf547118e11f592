//! What decides about a packet before pinif's program does.

use std::fmt;

/// A program or filter of another owner that runs before pinif's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ahead {
    /// A program of the TCX hook.
    Program {
        /// Its number.
        id: u32,
        /// Its name: untrusted; empty where it has none.
        name: String,
    },
    /// A filter of the clsact qdisc.
    Filter {
        /// Its place (`pref`).
        priority: u16,
        /// What decides: `bpf`, `matchall`, `flower`, ….
        kind: String,
    },
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { id, name } if name.is_empty() => write!(f, "TCX program {id}"),
            Self::Program { id, name } => write!(f, "TCX program {name} (id {id})"),
            Self::Filter { priority, kind } => write!(f, "{kind} filter at pref {priority}"),
        }
    }
}
