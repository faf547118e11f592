//! What it takes of the kernel to follow namespaces.

use crate::{
    host::namespaces::Watch,
    kernel::{arrivals::Arrivals, entry::Entries, mode::Mode},
};

/// What it takes to attach to namespaces, and to learn of those that come.
pub(super) struct Following {
    pub(super) mode: Mode,
    pub(super) entries: Entries,
    pub(super) watch: Watch,
    pub(super) arrivals: Arrivals,
}
