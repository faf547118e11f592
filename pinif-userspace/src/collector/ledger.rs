//! The ledger of findings: what was found, how often, when last, and what of it is still to be reported. It reads no clock: `now`
//! is `CLOCK_MONOTONIC`, and what is to be shown comes back to the caller.

mod activity;
mod entry;
mod index;
mod wholes;

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hash, iter, sync::Arc, time::Duration};

use pinif_ebpf::{sighting::Count, verdict::Severity};

use super::moment::Moment;
use crate::findings::{
    accepted::Accepted,
    alert_state::AlertState,
    finding::{Finding, FindingId},
    kinds,
    related::Connection,
    samples::Samples,
};
use crate::hub::Change;

pub use self::{
    entry::{Due, Growth},
    wholes::Place,
};

use self::{
    activity::Activity,
    entry::{Entry, Micros, micros},
    index::Index,
    wholes::Wholes,
};

/// A finding is reported again no sooner than this after the last time.
pub const PAUSE: Duration = Duration::from_secs(1);
/// No more findings than these are reported again at a time: thousands that grow take turns, and the end has all counts.
pub const REPEATS: usize = 250;

/// All findings of a run. `K` is what distinguishes one from another, usually a [`Key`](super::key::Key).
#[derive(Debug)]
pub struct Ledger<K = FindingId> {
    /// The places of those that are not closed, found by their keys.
    index: Index,
    /// In the order of their first sightings.
    entries: Vec<Entry<K>>,
    /// The places of those of which something new is to be reported, each with the time from which it may: the longest due first.
    waiting: BinaryHeap<Reverse<(Micros, u32)>>,
    activity: Activity,
    first_revision: u32,
    /// Which are named in another.
    wholes: Wholes,
}

impl<K: Clone + Eq + Hash> Ledger<K> {
    /// An empty ledger, whose findings are quiet once no packet was seen for so long. Their revisions begin behind
    /// `first_revision`.
    pub fn new(quiet_after: Duration, first_revision: u32) -> Self {
        Self {
            index: Index::default(),
            entries: Vec::new(),
            waiting: BinaryHeap::new(),
            activity: Activity::new(quiet_after),
            first_revision,
            wholes: Wholes::default(),
        }
    }

    /// Enters a finding that was last `seen` then, and gives it back to be shown at once. A finding that is in the ledger already,
    /// because two processors saw its first packet, only brings its counts, and nothing is to be shown.
    pub fn sighted(
        &mut self,
        key: K,
        mut finding: Finding,
        seen: Moment,
        now: Duration,
    ) -> Option<Finding> {
        if self.contains(&key) {
            let Finding { packets, bytes, .. } = finding;
            self.counted(&key, Count { packets, bytes }, seen);
            return None;
        }
        let place = self.entries.len();
        let (seen_at, now) = (micros(seen.monotonic), micros(now));
        finding.last_seen = seen.wall.into();
        finding.revision = self.first_revision.saturating_add(1);
        // Of what has no packets, none can lack.
        let is_quiet =
            kinds::is_counted(finding.kind) && self.activity.begin(place as Place, seen_at, now);
        finding.state = entry::state(&finding, is_quiet);
        if place == self.entries.capacity() {
            // Less than twice as much, which would be megabytes for nothing.
            self.entries.reserve_exact(place / 16 + 16);
        }
        let entry = Entry::new(key.clone(), finding.clone(), is_quiet, now, seen_at);
        self.entries.push(entry);
        let Self { index, entries, .. } = self;
        index.insert(&key, place as Place, |place| &entries[place as usize].key);
        Some(finding)
    }

    /// Whether the finding is in the ledger. One whose sighting was lost is known by its counter alone, and is not.
    pub fn contains(&self, key: &K) -> bool {
        self.place(key).is_some()
    }

    /// The place of a finding that is not closed.
    pub fn place(&self, key: &K) -> Option<Place> {
        self.index
            .get(key, |place| self.entries[place as usize].key == *key)
    }

    /// The finding at a place, by itself.
    pub fn open(&self, place: Place) -> &Finding {
        &self.entries[place as usize].finding
    }

    /// The key of the finding at a place, while it is not closed.
    pub fn key_at(&self, place: Place) -> Option<&K> {
        let entry = &self.entries[place as usize];
        (!entry.is_closed).then_some(&entry.key)
    }

    /// Whether something new of a finding is to be reported.
    pub fn is_waiting(&self, place: Place) -> bool {
        self.entries[place as usize].waits
    }

    /// Does not report a finding that was entered just now before it is due, since it may be a part of another by then.
    pub fn withhold(&mut self, place: Place) {
        self.entries[place as usize].is_shown = false;
        self.wait(place);
    }

    /// Has a finding named in another from now on, or be one of its own.
    pub fn relate(&mut self, part: Place, whole: Option<Place>) {
        let before = self.wholes.whole_of(part);
        if self.wholes.set(part, whole) {
            let now = self.wholes.whole_of(part);
            for place in [part, before, now] {
                self.wait(place);
            }
        }
    }

    /// Takes the counter's exact totals so far. Totals never shrink; those of an unknown finding are not taken, and the
    /// answer is false. Where they have grown since they were read last, it was seen `now`, or less than one such reading before.
    pub fn counted(&mut self, key: &K, count: Count, now: Moment) -> bool {
        let Some(place) = self.place(key) else {
            return false;
        };
        let finding = &mut self.entries[place as usize].finding;
        if count.packets > finding.packets || count.bytes > finding.bytes {
            finding.packets = finding.packets.max(count.packets);
            finding.bytes = finding.bytes.max(count.bytes);
            self.seen(place, now);
        }
        true
    }

    /// Takes how many samples it has had so far: with more of them it has grown, though nothing was counted of these.
    pub fn sampled(&mut self, key: &K, samples: u8, now: Moment) {
        if let Some(place) = self.place(key)
            && samples > self.entries[place as usize].samples
        {
            self.entries[place as usize].samples = samples;
            self.seen(place, now);
        }
    }

    /// Has a finding reported again, since more of it was seen that nobody can count.
    pub fn grown(&mut self, key: &K, now: Moment) {
        if let Some(place) = self.place(key) {
            self.seen(place, now);
        }
    }

    /// Takes that a finding was found once more: nothing is new of it but when.
    pub fn found_again(&mut self, key: &K, now: Moment) {
        if let Some(place) = self.place(key) {
            let entry = &mut self.entries[place as usize];
            entry.seen_at = micros(now.monotonic);
            entry.finding.last_seen = now.wall.into();
        }
    }

    /// Takes that more of a finding was seen, be it what is named in it. One that was quiet is open again.
    fn seen(&mut self, place: Place, now: Moment) {
        self.wait(place);
        for place in [place, self.wholes.whole_of(place)] {
            let entry = &mut self.entries[place as usize];
            if entry.seen(now) {
                self.activity.begin(place, entry.seen_at, entry.seen_at);
            }
        }
    }

    /// Takes the time: a finding of which no packet was seen for long is quiet, and is reported as that. The counters were read
    /// just before.
    pub fn quieten(&mut self, now: Duration) {
        let now = micros(now);
        let seen_at = |entries: &[Entry<K>], place: Place| entries[place as usize].seen_at;
        while let Some(place) = self
            .activity
            .next_quiet(now, |place| seen_at(&self.entries, place))
        {
            let entry = &mut self.entries[place as usize];
            entry.is_quiet = true;
            if entry.update_state() {
                self.wait(place);
            }
        }
    }

    /// Judges anew of each finding whether it is accepted. What is another by that is reported again. `judge` learns whether what
    /// it has seen is with it.
    pub fn accept_each(
        &mut self,
        mut judge: impl FnMut(&K, &Finding, Growth) -> Option<Arc<Accepted>>,
    ) {
        for place in 0..self.entries.len() as Place {
            let entry = &mut self.entries[place as usize];
            let accepted = judge(&entry.key, &entry.finding, entry.growth());
            if entry.accept(accepted) {
                self.wait(place);
            }
        }
    }

    /// The same of one finding, if it is accepted so far.
    pub fn accept_still(&mut self, key: &K, judge: impl FnOnce(&Finding) -> Option<Arc<Accepted>>) {
        if let Some(place) = self.place(key)
            && let entry = &mut self.entries[place as usize]
            && entry.finding.state == AlertState::Accepted
        {
            let accepted = judge(&entry.finding);
            if entry.accept(accepted) {
                self.wait(place);
            }
        }
    }

    /// How many findings are accepted.
    pub fn accepted(&self) -> u64 {
        let accepted = self
            .own()
            .filter(|(_, finding)| finding.state == AlertState::Accepted);
        accepted.count() as u64
    }

    /// Amends what was learned late, such as the process or the cause. A finding that is thereby another is reported again,
    /// like one whose counts grew; the answer is whether it is.
    pub fn refine(&mut self, key: &K, amend: impl FnOnce(&mut Finding)) -> bool {
        let Some(place) = self.place(key) else {
            return false;
        };
        let finding = &mut self.entries[place as usize].finding;
        let before = finding.clone();
        amend(finding);
        let changed = *finding != before;
        if changed {
            let entry = &mut self.entries[place as usize];
            entry.change = entry.change.max(Change::Refined);
            self.wait(place);
        }
        changed
    }

    /// What is to be reported again now: grown or amended findings whose last line is a second old, at most [`REPEATS`] of them,
    /// those that have waited longest.
    pub fn due(&mut self, now: Duration) -> impl Iterator<Item = Due<K>> {
        let now = micros(now);
        iter::from_fn(move || self.next_due(|from| (from <= now).then_some(now))).take(REPEATS)
    }

    /// A time before which no finding becomes quiet; none, where none is to.
    pub fn quiet_at(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.activity.due()?))
    }

    /// Whether a finding is to be reported again, now or later.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The keys of the findings that are `wanted` and not closed.
    pub fn keys_where(&self, wanted: impl Fn(&K) -> bool) -> Vec<K> {
        let growing = self.index.places();
        growing
            .map(|place| &self.entries[place as usize].key)
            .filter(|key| wanted(key))
            .cloned()
            .collect()
    }

    /// The findings that are not closed, with their keys; the latest first.
    pub fn latest(&self) -> impl Iterator<Item = (&K, &Finding)> {
        let growing = self.entries.iter().rev();
        growing
            .filter(|entry| !entry.is_closed)
            .map(|entry| (&entry.key, &entry.finding))
    }

    /// Closes a finding: it stays in the ledger as it is, with what it has seen, and what is sighted under its key from now on is
    /// another.
    pub fn close(&mut self, key: &K, samples: Samples) {
        let Self { index, entries, .. } = self;
        if let Some(place) = index.remove(key, |place| entries[place as usize].key == *key) {
            let entry = &mut self.entries[place as usize];
            entry.is_closed = true;
            entry.finding.samples = Some(Arc::new(samples));
        }
    }

    /// What is not reported yet, without regard to the pause: the last lines before the summary, with the exact counts.
    pub fn rest(&mut self) -> impl Iterator<Item = Due<K>> {
        iter::from_fn(|| self.next_due(Some))
    }

    /// The next that is reported, at the time that `when` gives for the time from which it may be.
    fn next_due(&mut self, when: impl Fn(Micros) -> Option<Micros>) -> Option<Due<K>> {
        loop {
            let now = when(self.waiting.peek()?.0.0)?;
            if let Some(due) = self.take_first(now) {
                return Some(due);
            }
        }
    }

    /// The highest severity in the ledger, of what is not accepted.
    pub fn worst(&self) -> Option<Severity> {
        let open = self
            .own()
            .filter(|(_, finding)| finding.state != AlertState::Accepted);
        open.map(|(_, finding)| finding.severity).max()
    }

    /// How many findings there are; what is named in another is none.
    pub fn len(&self) -> usize {
        self.entries.len() - self.wholes.number()
    }

    /// All, also those that are named in another, in the order of their first sightings.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        self.entries.iter().map(|entry| &entry.finding)
    }

    /// Those that are not named in another, in the order of their first sightings.
    pub fn own(&self) -> impl Iterator<Item = (Place, &Finding)> {
        let all = (0..).zip(self.all());
        all.filter(|&(place, _)| !self.wholes.is_part(place))
    }

    /// The finding at a place, with what is named in it.
    pub fn finding_at(&self, place: Place) -> Finding {
        let at = |place: Place| &self.entries[place as usize].finding;
        let mut finding = at(place).clone();
        let parts = self.wholes.parts_of(place);
        if self.wholes.is_part(place) {
            let whole = at(self.wholes.whole_of(place)).id;
            finding.connection = Some(Arc::new(Connection::PartOf(whole)));
        } else if !parts.is_empty() {
            let related = parts.into_iter().map(|part| at(part).as_related());
            finding.connection = Some(Arc::new(Connection::Has(related.collect())));
        }
        finding
    }

    fn wait(&mut self, place: Place) {
        for place in [place, self.wholes.whole_of(place)] {
            let entry = &mut self.entries[place as usize];
            if !entry.waits {
                entry.waits = true;
                let from = entry.shown_at + micros(PAUSE);
                self.waiting.push(Reverse((from, place)));
            }
        }
    }

    /// Takes the first that waits; nothing to report where that is named in another, and no finding of its own to whoever is reported to.
    fn take_first(&mut self, now: Micros) -> Option<Due<K>> {
        let Reverse((_, place)) = self.waiting.pop()?;
        let is_part = self.wholes.is_part(place);
        let entry = &mut self.entries[place as usize];
        let change = entry.report(now, is_part)?;
        let key = (!entry.is_closed).then(|| entry.key.clone());
        let seen_at = Duration::from_micros(entry.seen_at);
        Some(Due {
            change,
            key,
            finding: self.finding_at(place),
            seen_at,
        })
    }
}

#[cfg(test)]
mod tests;
