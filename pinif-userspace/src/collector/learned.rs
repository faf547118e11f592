//! The audit's part of what is learned: who is new is looked at, and who asks is answered.

use anyhow::Result;
use pinif_ebpf::{learned::Learner, loss::Loss};

use super::audit::Audit;
use crate::learned::Page;

impl Audit {
    /// Who is new among those that send.
    pub(super) fn on_learners(&mut self, learners: &[Learner]) {
        if let Some(learning) = &mut self.learning {
            learning.on(learners);
        }
    }

    /// A page of what was learned; none where nothing is.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub(super) fn learned(&mut self, from: u64, limit: usize) -> Result<Option<Page>> {
        let Some(learning) = &mut self.learning else {
            return Ok(None);
        };
        let lost = self.counters.lost(Loss::LearnedFull)?;
        learning.page(from, limit, &self.names, lost).map(Some)
    }
}
