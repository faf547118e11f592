//! Which namespaces are audited, and what it takes to learn of those that come.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use pinif_ebpf::key::NetNsCookie;

use crate::{
    host::namespaces::{Wanted, Watch},
    kernel::{arrivals::Arrivals, entry::Entries, mode::Mode, persist::Persist},
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
    /// The names of all that ever were audited.
    names: BTreeMap<NetNsCookie, String>,
    /// What later lives are to know.
    persist: Option<Rc<Persist>>,
}

impl Following {
    pub(super) fn new(
        wanted: Wanted,
        mode: Mode,
        entries: Entries,
        watch: Watch,
        arrivals: Arrivals,
        persist: Option<Rc<Persist>>,
    ) -> Self {
        let earlier = persist.iter().flat_map(|persist| persist.namespaces());
        Self {
            wanted,
            mode,
            entries,
            watch,
            arrivals,
            threads: Vec::new(),
            refused: BTreeSet::new(),
            names: earlier.collect(),
            persist,
        }
    }

    /// What a namespace is called, or was.
    pub(super) fn name(&self, netns: NetNsCookie) -> String {
        self.names.get(&netns).cloned().unwrap_or_default()
    }

    /// Whether a namespace is, or ever was, audited.
    pub(super) fn knows(&self, netns: NetNsCookie) -> bool {
        self.names.contains_key(&netns)
    }

    /// Gives a namespace a name.
    pub(super) fn call(&mut self, netns: NetNsCookie, name: String) {
        if let Some(persist) = &self.persist {
            persist.remember_namespace(netns, &name);
        }
        self.names.insert(netns, name);
    }
}
