//! Where traffic belongs.

use std::{fmt, sync::Arc};

use crate::text::words::listed;

/// Where traffic belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// To any of these interfaces.
    Interfaces(Vec<Arc<str>>),
    /// To an interface of these zones, which have none now.
    Zones(Vec<Arc<str>>),
    /// It is not known.
    Unknown,
}

impl Home {
    /// One interface.
    pub fn of(interface: &Arc<str>) -> Self {
        Self::Interfaces(vec![Arc::clone(interface)])
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interfaces(names) => f.write_str(&listed(names, "or")),
            Self::Zones(names) => write!(f, "an interface of zone {}", listed(names, "or")),
            Self::Unknown => f.write_str("the intended interface"),
        }
    }
}
