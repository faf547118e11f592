//! The state of the audit in one piece, for subscribers that want it.

use std::time::SystemTime;

use anyhow::Result;
use pinif_ebpf::loss::Loss;

use super::audit::Audit;
use crate::{
    findings::ready::PolicySize,
    hub::snapshot::{PolicyState, Snapshot, WORST},
};

impl Audit {
    /// How much the policy in force says.
    pub(super) fn policy_size(&self) -> Option<PolicySize> {
        let policy = self.policies.values().next_back()?;
        PolicySize::of(policy.zones.len(), policy.rules.len())
    }

    /// Publishes a snapshot, if a subscriber wants one. `losses` is what could not be counted so far.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn publish_snapshot(&self, losses: Vec<(Loss, u64)>) -> Result<()> {
        if !self.hub.wants_snapshots() {
            return Ok(());
        }
        let cells = self.counters.cells()?;
        let policy = self.policies.values().next_back();
        self.hub.publish_snapshot(Snapshot {
            started: SystemTime::now() - self.started.elapsed(),
            attach: self.following.mode.into(),
            interfaces: self.attachments.all(|netns| self.names.namespace(netns)),
            policy: PolicyState {
                zones: policy.map_or(0, |policy| policy.zones.len()),
                rules: policy.map_or(0, |policy| policy.rules.len()),
                reload_failed: self.reload_failed,
            },
            enforces: self.enforcement.is_on(),
            matrix: self.totals.matrix(&cells, &self.names),
            losses,
            findings: self.ledger.by_severity(),
            worst: self.ledger.most_severe(WORST),
        });
        Ok(())
    }
}
