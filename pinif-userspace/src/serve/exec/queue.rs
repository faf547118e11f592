//! Findings that wait for a call. What becomes of one while it waits is put together: its call names all of it.

use std::cmp::Reverse;

use crate::{findings::line::FindingLine, history::Change, surfaces::journal::Transition};

/// How many findings wait at most.
const MOST: usize = 1024;

/// A finding that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its newest facts.
    pub finding: FindingLine,
    /// What became of it since its last call: the newest last, each once. Never empty.
    pub transitions: Vec<Transition>,
    /// How many transitions there were, each counted.
    pub number: u64,
}

impl Waiting {
    /// What became of it last.
    pub fn transition(&self) -> Option<Transition> {
        self.transitions.last().copied()
    }
}

/// All that wait.
#[derive(Debug, Default)]
pub struct Queue {
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    /// Transitions that have no call of their own.
    coalesced: u64,
    /// Transitions that no call names.
    lost: u64,
}

impl Queue {
    /// Takes in what became of a finding. Where too many wait, the least grave of them is lost, of these the latest.
    pub fn put(&mut self, finding: &FindingLine, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let number = changes.len() as u64;
        self.coalesced += number - 1;
        let known = self.waiting.iter_mut();
        let mut known = known.filter(|waiting| waiting.finding.id == finding.id);
        let waiting = match known.next() {
            Some(waiting) => {
                self.coalesced += 1;
                waiting.finding.clone_from(finding);
                waiting.number += number;
                waiting
            }
            None => {
                self.waiting.push(Waiting {
                    finding: finding.clone(),
                    transitions: Vec::new(),
                    number,
                });
                let last = self.waiting.len() - 1;
                &mut self.waiting[last]
            }
        };
        for transition in changes.iter().copied().map(transition) {
            waiting.transitions.retain(|before| *before != transition);
            waiting.transitions.push(transition);
        }
        if self.waiting.len() > MOST {
            let all = self.waiting.iter().enumerate();
            let least =
                all.min_by_key(|(place, waiting)| (waiting.finding.severity, Reverse(*place)));
            if let Some((place, _)) = least {
                self.lost += self.waiting.remove(place).number;
            }
        }
    }

    /// The next to be called for: the gravest, of these the earliest.
    pub fn next(&mut self) -> Option<Waiting> {
        let all = self.waiting.iter().enumerate();
        let next = all.min_by_key(|(place, waiting)| (Reverse(waiting.finding.severity), *place));
        let (place, _) = next?;
        Some(self.waiting.remove(place))
    }

    /// No call comes any more. Returns how many transitions no call has named.
    pub fn give_up(&mut self) -> u64 {
        let left = self.waiting.drain(..).map(|waiting| waiting.number).sum();
        self.lost += left;
        left
    }

    /// How many findings wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Transitions that had no call of their own.
    pub fn coalesced(&self) -> u64 {
        self.coalesced
    }

    /// Transitions that no call names.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// What the journal calls it.
fn transition(change: Change) -> Transition {
    match change {
        Change::Opened => Transition::Opened,
        Change::Grew => Transition::Grown,
        Change::Quiet => Transition::Quiet,
        Change::Reopened => Transition::Reopened,
        Change::Accepted => Transition::Accepted,
        Change::Joined => Transition::Part,
    }
}

#[cfg(test)]
mod tests {
    use pinif_ebpf::verdict::Severity;

    use super::*;
    use crate::findings::example;

    fn finding(id: usize, severity: Severity, packets: u64) -> FindingLine {
        FindingLine {
            id: format!("{id:012x}"),
            severity,
            packets,
            ..FindingLine::from(&example::finding(7))
        }
    }

    fn leak(id: usize, packets: u64) -> FindingLine {
        finding(id, Severity::Leak, packets)
    }

    #[test]
    fn what_becomes_of_one_that_waits_is_one_call() {
        let mut queue = Queue::default();
        queue.put(&leak(1, 1), &[Change::Opened]);
        queue.put(&leak(1, 2), &[]);
        queue.put(&leak(1, 10), &[Change::Grew]);
        queue.put(&leak(1, 100), &[Change::Grew]);
        queue.put(&leak(1, 100), &[Change::Quiet]);
        queue.put(&leak(2, 5), &[Change::Opened, Change::Accepted]);
        assert_eq!((queue.len(), queue.coalesced(), queue.lost()), (2, 4, 0));
        let one = queue.next().expect("one waits");
        assert_eq!((one.finding.packets, one.number), (100, 4));
        let names: Vec<_> = one.transitions.iter().map(|one| one.name()).collect();
        assert_eq!(names, ["opened", "grown", "quiet"]);
        assert_eq!(one.transition(), Some(Transition::Quiet));
        let two = queue.next().expect("one waits");
        assert_eq!((two.finding.id, two.number), (leak(2, 5).id, 2));
        assert_eq!(queue.next(), None);
        // After its call, it waits anew.
        queue.put(&leak(1, 101), &[Change::Reopened]);
        let again = queue.next().expect("one waits");
        assert_eq!(again.transitions, [Transition::Reopened]);
        assert_eq!((queue.coalesced(), queue.give_up()), (4, 0));
    }

    #[test]
    fn the_gravest_is_called_for_first_and_lost_last() {
        let mut queue = Queue::default();
        for id in 0..MOST - 1 {
            queue.put(&finding(id, Severity::Risk, 1), &[Change::Opened]);
        }
        queue.put(&finding(MOST, Severity::Note, 1), &[Change::Opened]);
        queue.put(&leak(MOST + 1, 1), &[Change::Opened]);
        assert_eq!((queue.len(), queue.lost()), (MOST, 1), "the note");
        queue.put(
            &finding(MOST + 2, Severity::Note, 1),
            &[Change::Opened, Change::Quiet],
        );
        assert_eq!((queue.len(), queue.lost()), (MOST, 3), "the other note");
        queue.put(&leak(MOST + 3, 1), &[Change::Opened]);
        assert_eq!((queue.len(), queue.lost()), (MOST, 4), "the latest risk");
        let next = |queue: &mut Queue| queue.next().map(|waiting| waiting.finding.id);
        assert_eq!(next(&mut queue), Some(leak(MOST + 1, 1).id));
        assert_eq!(next(&mut queue), Some(leak(MOST + 3, 1).id));
        assert_eq!(next(&mut queue), Some(leak(0, 1).id));
        assert_eq!(queue.give_up(), MOST as u64 - 3);
        assert_eq!(queue.lost(), MOST as u64 + 1);
    }
}
