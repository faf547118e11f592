//! What is asked of the audit while it runs. Each answer takes a bounded time, however many findings there are: what can be made
//! of it elsewhere is made elsewhere.

use std::{hash::Hash, sync::Arc};

use anyhow::Result;

use super::{
    audit::Audit,
    key::Key,
    ledger::{Ledger, Place},
    moment::Moment,
    plan::Question,
};
use crate::{
    findings::{
        listed::{Listed, Page},
        paging::Paging,
        query::Query,
    },
    host::netns::NetNs,
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
            Question::Namespaces(reply) if !reply.is_closed() => {
                let _ = reply.send(self.audited());
            }
            Question::Learned(from, limit, reply) if !reply.is_closed() => {
                let _ = reply.send(self.learned(from, limit)?);
            }
            Question::Foreseen(most, reply) if !reply.is_closed() => {
                let _ = reply.send(self.foresight.holding(most));
            }
            Question::Closed(netns, reply) if !reply.is_closed() => {
                let closed = self.closed(netns).map_err(|error| format!("{error:#}"));
                let _ = reply.send(closed);
            }
            Question::Snapshot(_)
            | Question::Findings(..)
            | Question::Namespaces(_)
            | Question::Learned(..)
            | Question::Foreseen(..)
            | Question::Closed(..) => {}
        }
        Ok(())
    }

    /// The namespaces that are audited, as they are called.
    fn audited(&self) -> Vec<NetNs> {
        let namespaces = self.namespaces.values();
        let called = namespaces.map(|namespace| {
            let mut netns = namespace.hooks.netns().clone();
            netns.name = self.names.namespace(netns.cookie);
            netns
        });
        called.collect()
    }

    /// The findings of a query, a page of them.
    fn page(&mut self, query: &Query) -> Page {
        let Selection {
            places,
            total,
            next,
        } = select(&self.ledger, query);
        let findings = places.into_iter().map(|place| self.listed(place));
        Page {
            findings: findings.collect(),
            total,
            next,
        }
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

/// Where the findings of a page are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Selection {
    places: Vec<Place>,
    total: u64,
    next: Option<u64>,
}

/// Looks at each finding once: tens of thousands take milliseconds.
fn select<K: Clone + Eq + Hash>(ledger: &Ledger<K>, query: &Query) -> Selection {
    let mut paging = Paging::new(query.from, query.limit);
    let asked_for = ledger.own().filter(|(_, finding)| query.takes(finding));
    let of_page = asked_for.filter(|(place, _)| paging.takes(u64::from(*place)));
    let places = of_page.map(|(place, _)| place).collect();
    Selection {
        places,
        total: paging.total,
        next: paging.next,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use pinif_ebpf::verdict::Severity;

    use super::*;
    use crate::findings::{example, finding::Finding, query::OfProcess};

    /// A ledger of so many findings, each third of which is a risk.
    fn ledger(number: u64) -> Ledger<u64> {
        let mut ledger = Ledger::new(Duration::from_secs(300), 0);
        let base = example::finding(0);
        let now = Moment::now();
        for id in 0..number {
            let severity = if id % 3 == 0 {
                Severity::Risk
            } else {
                Severity::Leak
            };
            let finding = Finding {
                severity,
                ..base.clone()
            };
            ledger.sighted(id, finding, now, now.monotonic);
        }
        ledger
    }

    #[test]
    fn pages_follow_each_other_to_the_last() {
        let ledger = ledger(10);
        let mut query = Query {
            severities: vec![Severity::Risk],
            limit: 3,
            ..Query::default()
        };
        let first = select(&ledger, &query);
        assert_eq!(
            (&first.places[..], first.total, first.next),
            (&[0_u32, 3, 6][..], 4, Some(9))
        );
        query.from = 9;
        let last = select(&ledger, &query);
        assert_eq!(
            (&last.places[..], last.total, last.next),
            (&[9_u32][..], 4, None)
        );
        query.from = 10;
        assert!(select(&ledger, &query).places.is_empty());
    }

    #[test]
    fn what_is_named_in_another_finding_is_in_no_list() {
        let mut ledger = ledger(3);
        ledger.relate(1, Some(2));
        let all = Query {
            limit: 9,
            ..Query::default()
        };
        assert_eq!(select(&ledger, &all).places, [0_u32, 2]);
    }

    /// Without optimization, and on a machine that has other things to do: what is not linear would take minutes.
    #[test]
    fn sixty_thousand_are_looked_through_at_once() {
        let ledger = ledger(65_536);
        let query = Query {
            process: OfProcess::read("no*such").ok(),
            netns: crate::text::glob::glob("ca*d").ok(),
            limit: 250,
            ..Query::default()
        };
        let before = Instant::now();
        assert_eq!(select(&ledger, &query), Selection::default());
        let all = Query {
            limit: 250,
            ..Query::default()
        };
        let page = select(&ledger, &all);
        assert_eq!(
            (page.places.len(), page.total, page.next),
            (250, 65_536, Some(250))
        );
        let took = before.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        eprintln!("{took:?} for 65,536 findings, twice");
    }
}
