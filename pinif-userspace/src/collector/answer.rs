//! What is asked of the audit while it runs. Each answer takes a bounded time, however many findings there are: what can be made
//! of it elsewhere is made elsewhere.

use std::sync::Arc;

use anyhow::Result;

use super::{audit::Audit, key::Key, ledger::Place, moment::Moment, plan::Question};
use crate::findings::{
    listed::{Listed, Page},
    query::Query,
};

impl Audit {
    /// Answers a question.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub(super) fn answer(&mut self, question: Question) -> Result<()> {
        // Where nobody waits any more, there is nobody to answer.
        match question {
            Question::Snapshot(reply) if !reply.is_closed() => {
                let _ = reply.send(self.recent_snapshot()?);
            }
            Question::Findings(query, reply) if !reply.is_closed() => {
                let _ = reply.send(self.page(&query));
            }
            Question::Snapshot(_) | Question::Findings(..) => {}
        }
        Ok(())
    }

    /// The findings of a query, a page of them.
    fn page(&mut self, query: &Query) -> Page {
        let mut page = Page::default();
        let mut wanted = Vec::new();
        for (place, finding) in self.ledger.own() {
            if !query.takes(finding) {
                continue;
            }
            page.total += 1;
            if u64::from(place) < query.from {
                continue;
            }
            if wanted.len() < query.limit {
                wanted.push(place);
            } else if page.next.is_none() {
                page.next = Some(place.into());
            }
        }
        let listed = wanted.into_iter().map(|place| self.listed(place));
        page.findings = listed.collect();
        page
    }

    /// The finding at a place of the ledger, as it is counted now.
    pub(super) fn listed(&mut self, place: Place) -> Listed {
        let mut seen = None;
        let mut samples = None;
        match self.ledger.key_at(place).cloned() {
            Some(Key::Counted(key)) => {
                if let Some(state) = self.counters.finding(&key) {
                    let key = Key::Counted(key);
                    self.ledger.counted(&key, state.count, Moment::now());
                    seen = Some(Box::new(state.samples));
                }
            }
            Some(Key::Gap(gap)) => samples = self.gaps.samples(&gap),
            None => {}
        }
        let mut finding = self.ledger.finding_at(place);
        if let Some(samples) = samples {
            finding.samples = Some(Arc::new(samples));
        }
        Listed { finding, seen }
    }
}
