//! The ledger of findings: what was found, how often, when last, and what of it is still to be reported. It reads no clock: `now`
//! is `CLOCK_MONOTONIC`, and what is to be shown comes back to the caller.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    hash::{BuildHasher as _, Hash},
    iter,
    sync::Arc,
    time::Duration,
};

use hashbrown::{DefaultHashBuilder, HashTable};
use pinif_ebpf::{sighting::Count, verdict::Severity};

use super::moment::Moment;
use crate::findings::{
    alert_state::AlertState,
    finding::{Finding, FindingId},
    kinds,
    samples::Samples,
};
use crate::hub::Change;

/// A finding is reported again no sooner than this after the last time.
pub const PAUSE: Duration = Duration::from_secs(1);
/// No more findings than these are reported again at a time: thousands that grow take turns, and the end has all counts.
pub const REPEATS: usize = 250;

/// How many samples a finding has of what was seen first: a process, a socket, a destination.
const OF_THE_FIRST: u8 = 3;

/// All findings of a run. `K` is what distinguishes one from another, usually a [`Key`](super::key::Key).
#[derive(Debug)]
pub struct Ledger<K = FindingId> {
    /// The places of those that are not closed, found by their keys.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// In the order of their first sightings.
    entries: Vec<Entry<K>>,
    /// The places of those of which something new is to be reported, each with the time from which it may: the longest due first.
    waiting: BinaryHeap<Reverse<(Micros, u32)>>,
    /// The places of those that are not quiet and have packets, each once, with a time before which it is not quiet.
    active: BinaryHeap<Reverse<(Micros, u32)>>,
    quiet_after: Micros,
    first_revision: u64,
    worst: Option<Severity>,
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    finding: Finding,
    /// It cannot grow any more, and another may have its key.
    is_closed: bool,
    shown_at: Micros,
    /// When it was last seen.
    seen_at: Micros,
    waits: bool,
    /// How many samples it has had.
    samples: u8,
    /// What is new since it was shown.
    change: Change,
}

/// A finding that is to be reported again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<K> {
    /// Its key; none where it is closed, and another may have the key.
    pub key: Option<K>,
    /// The finding. What it has seen is known to whoever counts, unless it is closed.
    pub finding: Finding,
    /// When it was last seen, of `CLOCK_MONOTONIC`.
    pub seen_at: Duration,
    /// What is new of it.
    pub change: Change,
}

/// Microseconds of `CLOCK_MONOTONIC`.
type Micros = u64;

fn micros(time: Duration) -> Micros {
    time.as_micros() as Micros
}

impl<K: Clone + Eq + Hash> Ledger<K> {
    /// An empty ledger, whose findings are quiet once no packet was seen for so long. Their revisions begin behind
    /// `first_revision`.
    pub fn new(quiet_after: Duration, first_revision: u64) -> Self {
        Self {
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            entries: Vec::new(),
            waiting: BinaryHeap::new(),
            active: BinaryHeap::new(),
            quiet_after: micros(quiet_after),
            first_revision,
            worst: None,
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
        self.worst = self.worst.max(Some(finding.severity));
        let (seen_at, now) = (micros(seen.monotonic), micros(now));
        finding.last_seen = seen.wall.into();
        finding.revision = self.first_revision + 1;
        if kinds::is_counted(finding.kind) {
            let quiet_at = seen_at.saturating_add(self.quiet_after);
            if quiet_at <= now {
                finding.state = AlertState::Quiet;
            } else {
                self.active.push(Reverse((quiet_at, place as u32)));
            }
        }
        if place == self.entries.capacity() {
            // Less than twice as much, which would be megabytes for nothing.
            self.entries.reserve_exact(place / 16 + 16);
        }
        let hash = self.hasher.hash_one(&key);
        self.entries.push(Entry {
            key,
            finding: finding.clone(),
            is_closed: false,
            shown_at: now,
            seen_at,
            waits: false,
            samples: OF_THE_FIRST,
            change: Change::Grew,
        });
        let Self {
            places,
            entries,
            hasher,
            ..
        } = self;
        places.insert_unique(hash, place as u32, |&place| {
            hasher.hash_one(&entries[place as usize].key)
        });
        Some(finding)
    }

    /// Whether the finding is in the ledger. One whose sighting was lost is known by its counter alone, and is not.
    pub fn contains(&self, key: &K) -> bool {
        self.place(key).is_some()
    }

    fn place(&self, key: &K) -> Option<usize> {
        let is_it = |&place: &u32| self.entries[place as usize].key == *key;
        let place = self.places.find(self.hasher.hash_one(key), is_it)?;
        Some(*place as usize)
    }

    /// Takes the counter's exact totals so far. Totals never shrink; those of an unknown finding are not taken, and the
    /// answer is false. Where they have grown since they were read last, it was seen `now`, or less than one such reading before.
    pub fn counted(&mut self, key: &K, count: Count, now: Moment) -> bool {
        let Some(place) = self.place(key) else {
            return false;
        };
        let finding = &mut self.entries[place].finding;
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
            && samples > self.entries[place].samples
        {
            self.entries[place].samples = samples;
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
            let entry = &mut self.entries[place];
            entry.seen_at = micros(now.monotonic);
            entry.finding.last_seen = now.wall.into();
        }
    }

    /// Takes that more of a finding was seen. One that was quiet is open again.
    fn seen(&mut self, place: usize, now: Moment) {
        self.wait(place);
        let entry = &mut self.entries[place];
        entry.seen_at = micros(now.monotonic);
        entry.finding.last_seen = now.wall.into();
        if entry.finding.state == AlertState::Quiet {
            entry.finding.state = AlertState::Open;
            entry.change = entry.change.max(Change::StateChanged);
            let quiet_at = entry.seen_at.saturating_add(self.quiet_after);
            self.active.push(Reverse((quiet_at, place as u32)));
        }
    }

    /// Takes the time: a finding of which no packet was seen for long is quiet, and is reported as that. The counters were read
    /// just before.
    pub fn quieten(&mut self, now: Duration) {
        let now = micros(now);
        while let Some(&Reverse((at, place))) = self.active.peek()
            && at <= now
        {
            self.active.pop();
            let entry = &mut self.entries[place as usize];
            let quiet_at = entry.seen_at.saturating_add(self.quiet_after);
            if quiet_at > now {
                self.active.push(Reverse((quiet_at, place)));
                continue;
            }
            entry.finding.state = AlertState::Quiet;
            entry.change = entry.change.max(Change::StateChanged);
            self.wait(place as usize);
        }
    }

    /// Amends what was learned late, such as the process or the cause. A finding that is thereby another is reported again,
    /// like one whose counts grew; the answer is whether it is.
    pub fn refine(&mut self, key: &K, amend: impl FnOnce(&mut Finding)) -> bool {
        let Some(place) = self.place(key) else {
            return false;
        };
        let finding = &mut self.entries[place].finding;
        let before = finding.clone();
        amend(finding);
        let changed = *finding != before;
        if changed {
            self.worst = self.worst.max(Some(finding.severity));
            let entry = &mut self.entries[place];
            entry.change = entry.change.max(Change::Refined);
            self.wait(place);
        }
        changed
    }

    /// What is to be reported again now: grown or amended findings whose last line is a second old, at most [`REPEATS`] of them,
    /// those that have waited longest.
    pub fn due(&mut self, now: Duration) -> impl Iterator<Item = Due<K>> {
        let now = micros(now);
        iter::from_fn(move || {
            self.waiting.peek().filter(|due| due.0.0 <= now)?;
            self.take_first(now)
        })
        .take(REPEATS)
    }

    /// Whether a finding is to be reported again, now or later.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The keys of the findings that are `wanted` and not closed.
    pub fn keys_where(&self, wanted: impl Fn(&K) -> bool) -> Vec<K> {
        let growing = self.places.iter();
        growing
            .map(|&place| &self.entries[place as usize].key)
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
        let is_it = |&place: &u32| self.entries[place as usize].key == *key;
        if let Ok(place) = self.places.find_entry(self.hasher.hash_one(key), is_it) {
            let (place, _) = place.remove();
            let entry = &mut self.entries[place as usize];
            entry.is_closed = true;
            entry.finding.samples = Some(Arc::new(samples));
        }
    }

    /// What is not reported yet, without regard to the pause: the last lines before the summary, with the exact counts.
    pub fn rest(&mut self) -> impl Iterator<Item = Due<K>> {
        iter::from_fn(|| {
            let Reverse((from, _)) = *self.waiting.peek()?;
            self.take_first(from)
        })
    }

    /// The highest severity in the ledger.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// How many findings of each severity there are.
    pub fn by_severity(&self) -> BTreeMap<Severity, u64> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.finding.severity).or_default() += 1;
        }
        counts
    }

    /// The most severe findings, at most so many, those with the most packets first.
    pub fn most_severe(&self, most: usize) -> Vec<Arc<Finding>> {
        let rank = |finding: &&Finding| Reverse((finding.severity, finding.packets));
        let mut all: Vec<&Finding> = self.entries.iter().map(|entry| &entry.finding).collect();
        if most < all.len() {
            all.select_nth_unstable_by_key(most, rank);
            all.truncate(most);
        }
        all.sort_by_key(rank);
        all.into_iter().cloned().map(Arc::new).collect()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn wait(&mut self, place: usize) {
        let entry = &mut self.entries[place];
        if !entry.waits {
            entry.waits = true;
            let from = entry.shown_at + micros(PAUSE);
            self.waiting.push(Reverse((from, place as u32)));
        }
    }

    fn take_first(&mut self, now: Micros) -> Option<Due<K>> {
        let Reverse((_, place)) = self.waiting.pop()?;
        let entry = &mut self.entries[place as usize];
        entry.waits = false;
        entry.shown_at = now;
        entry.finding.revision += 1;
        let change = std::mem::replace(&mut entry.change, Change::Grew);
        Some(Due {
            change,
            key: (!entry.is_closed).then(|| entry.key.clone()),
            finding: entry.finding.clone(),
            seen_at: Duration::from_micros(entry.seen_at),
        })
    }
}

#[cfg(test)]
mod tests;
