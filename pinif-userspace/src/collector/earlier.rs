//! What an earlier collector has left.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use pinif_ebpf::key::{IfIndex, NetNsCookie};

use crate::kernel::{
    counters::Counters,
    persist::{ClosedFinding, Persist},
};

/// What an earlier life has left that is not recognized yet.
#[derive(Default)]
pub(super) struct Earlier {
    /// The namespaces that it audited.
    pub(super) namespaces: BTreeSet<NetNsCookie>,
    /// The interfaces for which something was counted.
    pub(super) counted: BTreeSet<(NetNsCookie, IfIndex)>,
    /// How many findings there are.
    pub(super) findings: usize,
    /// Those whose accounts it closed.
    pub(super) closed: Vec<ClosedFinding>,
}

impl Earlier {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn read(persist: Option<&Persist>, counters: &Counters) -> Result<Self> {
        let Some(persist) = persist.filter(|persist| persist.takes_over()) else {
            return Ok(Self::default());
        };
        let mut counted = BTreeSet::new();
        for (key, _) in counters.cells()? {
            counted.extend([(key.netns, key.egress), (key.netns, key.bound)]);
        }
        // What arrives is in no cell.
        let mut findings = 0;
        let mut batches = counters.findings()?;
        while let Some(batch) = batches
            .next()
            .context("the findings cannot be read from their map")?
        {
            for (key, _) in batch {
                counted.extend([(key.netns, key.egress), (key.netns, key.bound)]);
                findings += 1;
            }
        }
        let closed = persist.closed_findings();
        let namespaces = persist.namespaces().into_iter();
        Ok(Self {
            namespaces: namespaces.map(|(netns, _)| netns).collect(),
            counted,
            findings: findings + closed.len(),
            closed,
        })
    }

    /// Whether a namespace may be taken in yet: what was found in it is reported then.
    pub(super) fn awaits(&self, netns: NetNsCookie) -> bool {
        self.namespaces.contains(&netns)
    }
}
