//! The ledger of findings: what was found, how often, and what of it is still to be reported. It reads no clock: `now` is the
//! time since the audit began, and what is to be shown comes back to the caller.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    hash::{BuildHasher as _, Hash},
    iter,
    sync::Arc,
    time::Duration,
};

use clap::ValueEnum;
use hashbrown::{DefaultHashBuilder, HashTable};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::{Count, FindingKey},
    verdict::Severity,
};

use crate::findings::{
    finding::{Finding, FindingId},
    gaps::GapKey,
    samples::Samples,
};
use crate::hub::Change;

/// A finding is reported again no sooner than this after the last time.
pub const PAUSE: Duration = Duration::from_secs(1);
/// No more findings than these are reported again at a time: thousands that grow take turns, and the end has all counts.
pub const REPEATS: usize = 250;

/// How many samples a finding has of what was seen first: a process, a socket, a destination.
const OF_THE_FIRST: u8 = 3;

/// What distinguishes a finding from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// What the kernel counts: its counter's key.
    Counted(FindingKey),
    /// What it cannot see.
    Gap(GapKey),
}

impl Key {
    /// The namespace that the finding is in.
    pub fn netns(&self) -> NetNsCookie {
        match self {
            Self::Counted(key) => key.netns,
            Self::Gap(key) => key.netns,
        }
    }

    /// The interface that the finding is at; none, if it may be any.
    pub fn egress(&self) -> Option<IfIndex> {
        match self {
            Self::Counted(key) => Some(key.egress),
            Self::Gap(key) => key.interface,
        }
    }

    /// The bound device of the socket that sent.
    pub fn bound(&self) -> Option<IfIndex> {
        match self {
            Self::Counted(key) => Some(key.bound).filter(|bound| bound.is_some()),
            Self::Gap(_) => None,
        }
    }
}

/// All findings of a run. `K` is what distinguishes one from another, usually a [`Key`].
#[derive(Debug)]
pub struct Ledger<K = FindingId> {
    /// The places of the open ones, found by their keys.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// In the order of their first sightings.
    entries: Vec<Entry<K>>,
    /// The places of those of which something new is to be reported, each with the time from which it may: the longest due first.
    waiting: BinaryHeap<Reverse<(Micros, u32)>>,
    worst: Option<Severity>,
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    finding: Finding,
    /// It may grow: no other finding has its key.
    is_open: bool,
    shown_at: Micros,
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
    /// What is new of it.
    pub change: Change,
}

/// Microseconds since the audit began.
type Micros = u64;

fn micros(time: Duration) -> Micros {
    time.as_micros() as Micros
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self {
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            entries: Vec::new(),
            waiting: BinaryHeap::new(),
            worst: None,
        }
    }
}

impl<K: Clone + Eq + Hash> Ledger<K> {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a finding and gives it back to be shown at once. A finding that is in the ledger already, because two
    /// processors saw its first packet, only brings its counts, and nothing is to be shown.
    pub fn sighted(&mut self, key: K, finding: Finding, now: Duration) -> Option<Finding> {
        if self.contains(&key) {
            let Finding { packets, bytes, .. } = finding;
            self.counted(&key, Count { packets, bytes });
            return None;
        }
        let place = self.entries.len();
        self.worst = self.worst.max(Some(finding.severity));
        if place == self.entries.capacity() {
            // Less than twice as much, which would be megabytes for nothing.
            self.entries.reserve_exact(place / 16 + 16);
        }
        let hash = self.hasher.hash_one(&key);
        self.entries.push(Entry {
            key,
            finding: finding.clone(),
            is_open: true,
            shown_at: micros(now),
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
    /// answer is false.
    pub fn counted(&mut self, key: &K, count: Count) -> bool {
        let Some(place) = self.place(key) else {
            return false;
        };
        let finding = &mut self.entries[place].finding;
        if count.packets > finding.packets || count.bytes > finding.bytes {
            finding.packets = finding.packets.max(count.packets);
            finding.bytes = finding.bytes.max(count.bytes);
            self.wait(place);
        }
        true
    }

    /// Takes how many samples it has had so far: with more of them it has grown, though nothing was counted of these.
    pub fn sampled(&mut self, key: &K, samples: u8) {
        if let Some(place) = self.place(key)
            && samples > self.entries[place].samples
        {
            self.entries[place].samples = samples;
            self.wait(place);
        }
    }

    /// Has an open finding reported again, since more of it was seen that nobody can count.
    pub fn grown(&mut self, key: &K) {
        if let Some(place) = self.place(key) {
            self.wait(place);
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
            self.entries[place].change = Change::Refined;
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

    /// The keys of the open findings that are `wanted`.
    pub fn keys_where(&self, wanted: impl Fn(&K) -> bool) -> Vec<K> {
        let open = self.places.iter();
        open.map(|&place| &self.entries[place as usize].key)
            .filter(|key| wanted(key))
            .cloned()
            .collect()
    }

    /// The open findings, with their keys; the latest first.
    pub fn latest(&self) -> impl Iterator<Item = (&K, &Finding)> {
        let open = self.entries.iter().rev().filter(|entry| entry.is_open);
        open.map(|entry| (&entry.key, &entry.finding))
    }

    /// Closes a finding: it stays in the ledger as it is, with what it has seen, and what is sighted under its key from now on is
    /// another.
    pub fn close(&mut self, key: &K, samples: Samples) {
        let is_it = |&place: &u32| self.entries[place as usize].key == *key;
        if let Ok(place) = self.places.find_entry(self.hasher.hash_one(key), is_it) {
            let (place, _) = place.remove();
            let entry = &mut self.entries[place as usize];
            entry.is_open = false;
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
        let change = std::mem::replace(&mut entry.change, Change::Grew);
        Some(Due {
            change,
            key: entry.is_open.then(|| entry.key.clone()),
            finding: entry.finding.clone(),
        })
    }
}

/// From which severity on a finding fails the audit (`--fail-on`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Packets that left where they must not.
    #[default]
    Leak,
    /// Those, and packets that used an allowed interface, but only because of the current route.
    Risk,
    /// Nothing: findings are reported, and that is all.
    Never,
}

/// The exit status of an audit that ran: 2 when a finding is at or over `fail_on`; otherwise 3 when counts or what was written
/// of them may be incomplete, for then the absence of such a finding is not certain; otherwise 0. A leak that was seen is certain
/// however much was lost, so 2 wins over 3. An audit that could not run ends with 1, which is not decided here.
pub fn exit_status(fail_on: FailOn, worst: Option<Severity>, incomplete: bool) -> u8 {
    let threshold = match fail_on {
        FailOn::Leak => Some(Severity::Leak),
        FailOn::Risk => Some(Severity::Risk),
        FailOn::Never => None,
    };
    let failed = threshold
        .zip(worst)
        .is_some_and(|(threshold, worst)| worst >= threshold);
    match (failed, incomplete) {
        (true, _) => 2,
        (false, true) => 3,
        (false, false) => 0,
    }
}

#[cfg(test)]
mod tests;
