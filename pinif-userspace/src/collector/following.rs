//! Which namespaces are audited, and what it takes to learn of those that come.

use std::collections::BTreeSet;

use crate::{
    host::namespaces::{Wanted, Watch},
    kernel::{arrivals::Arrivals, entry::Entries, mode::Mode},
};

/// What it takes to follow namespaces.
pub(super) struct Following {
    pub(super) wanted: Wanted,
    pub(super) mode: Mode,
    pub(super) entries: Entries,
    pub(super) watch: Watch,
    pub(super) arrivals: Arrivals,
    /// Threads that a hook saw in a namespace, as long as it is audited: their processes may be in another.
    pub(super) threads: Vec<u32>,
    /// The inodes of those that could not be audited, which was reported.
    pub(super) refused: BTreeSet<u64>,
}

impl Following {
    pub(super) fn new(
        wanted: Wanted,
        mode: Mode,
        entries: Entries,
        watch: Watch,
        arrivals: Arrivals,
    ) -> Self {
        Self {
            wanted,
            mode,
            entries,
            watch,
            arrivals,
            threads: Vec::new(),
            refused: BTreeSet::new(),
        }
    }
}
