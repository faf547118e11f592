//! The book of findings: what was found, how often, and what of it is still to be said. It reads no clock: `now` is the
//! time since the audit began, and what is to be shown comes back to the caller.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use clap::ValueEnum;
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie},
    sighting::FindingKey,
    verdict::Severity,
};

use super::{
    finding::{Finding, FindingId},
    gaps::GapKey,
};

/// A finding is said again no sooner than this after the last time.
pub const PAUSE: Duration = Duration::from_secs(1);

/// What a finding is told from others by.
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

/// All findings of a run. `K` is what tells one from another, usually a [`Key`].
#[derive(Debug)]
pub struct Ledger<K = FindingId> {
    places: HashMap<K, usize>,
    /// In the order of their first sightings.
    entries: Vec<Entry>,
    /// The places of those that have something new to say, each with the time from which it may.
    waiting: BTreeSet<(Duration, usize)>,
}

#[derive(Debug)]
struct Entry {
    finding: Finding,
    shown_at: Duration,
    waits: bool,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            entries: Vec::new(),
            waiting: BTreeSet::new(),
        }
    }
}

impl<K: Eq + Hash> Ledger<K> {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a finding and gives it back to be shown at once. A finding that is in the book already, because two
    /// processors saw its first packet, only brings its counts, and nothing is to be shown.
    pub fn sighted(&mut self, key: K, finding: Finding, now: Duration) -> Option<Finding> {
        if self.places.contains_key(&key) {
            self.counted(&key, finding.packets, finding.bytes);
            return None;
        }
        self.places.insert(key, self.entries.len());
        // The clone stays: it holds no more than its text, whatever was reserved while that was written.
        self.entries.push(Entry {
            finding: finding.clone(),
            shown_at: now,
            waits: false,
        });
        Some(finding)
    }

    /// Whether the finding is in the book. One whose sighting was lost is known by its counter alone, and is not.
    pub fn contains(&self, key: &K) -> bool {
        self.places.contains_key(key)
    }

    /// Takes the counter's exact totals so far. Totals never shrink; those of an unknown finding are not taken, and the
    /// answer is false.
    pub fn counted(&mut self, key: &K, packets: u64, bytes: u64) -> bool {
        let Some(&place) = self.places.get(key) else {
            return false;
        };
        let finding = &mut self.entries[place].finding;
        if packets > finding.packets || bytes > finding.bytes {
            finding.packets = finding.packets.max(packets);
            finding.bytes = finding.bytes.max(bytes);
            self.wait(place);
        }
        true
    }

    /// Amends what was learned late, such as the process or the cause. A finding that is thereby another is said again,
    /// like one whose counts grew; the answer is whether it is.
    pub fn refine(&mut self, key: &K, amend: impl FnOnce(&mut Finding)) -> bool {
        let Some(&place) = self.places.get(key) else {
            return false;
        };
        let mut amended = self.entries[place].finding.clone();
        amend(&mut amended);
        let changed = amended != self.entries[place].finding;
        if changed {
            self.entries[place].finding = amended.clone();
            self.wait(place);
        }
        changed
    }

    /// What is to be said again now: grown or amended findings whose last line is a second old.
    pub fn due(&mut self, now: Duration) -> Vec<Finding> {
        let mut due = Vec::new();
        while let Some(&(from, _)) = self.waiting.first()
            && from <= now
        {
            due.extend(self.take_first(now));
        }
        due
    }

    /// How long until [`Self::due`] has something; `None` while nothing waits, so that nobody wakes for nothing.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        self.waiting
            .first()
            .map(|(from, _)| from.saturating_sub(now))
    }

    /// The keys of the open findings that are `wanted`.
    pub fn keys_where(&self, wanted: impl Fn(&K) -> bool) -> Vec<K>
    where
        K: Clone,
    {
        self.places
            .keys()
            .filter(|key| wanted(key))
            .cloned()
            .collect()
    }

    /// Closes a finding: it stays in the book as it is, and what is sighted under its key from now on is another.
    pub fn close(&mut self, key: &K) {
        self.places.remove(key);
    }

    /// What is still unsaid, without regard to the pause: the last lines before the summary, with the exact counts.
    pub fn rest(&mut self) -> Vec<Finding> {
        let mut rest = Vec::new();
        while let Some(&(from, _)) = self.waiting.first() {
            rest.extend(self.take_first(from));
        }
        rest
    }

    /// The gravest severity in the book.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|finding| finding.severity).max()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All findings as they stand, in the order of their first sightings.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.entries.iter().map(|entry| &entry.finding)
    }

    fn wait(&mut self, place: usize) {
        let entry = &mut self.entries[place];
        if !entry.waits {
            entry.waits = true;
            self.waiting.insert((entry.shown_at + PAUSE, place));
        }
    }

    fn take_first(&mut self, now: Duration) -> Option<Finding> {
        let (_, place) = self.waiting.pop_first()?;
        let entry = &mut self.entries[place];
        entry.waits = false;
        entry.shown_at = now;
        Some(entry.finding.clone())
    }
}

/// From which severity on a finding fails the audit (`--fail-on`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Packets that left where they must not.
    #[default]
    Leak,
    /// Those, and packets that left well by luck.
    Risk,
    /// Nothing: findings are told, and that is all.
    Never,
}

/// The exit status of an audit that ran: 2 when a finding is at or over `fail_on`; otherwise 3 when counts may be
/// incomplete, for then the absence of such a finding is not certain; otherwise 0. A leak that was seen is certain
/// however much was lost, so 2 wins over 3. An audit that could not run ends with 1, which is not decided here.
pub fn exit_status(fail_on: FailOn, worst: Option<Severity>, counts_incomplete: bool) -> u8 {
    let threshold = match fail_on {
        FailOn::Leak => Some(Severity::Leak),
        FailOn::Risk => Some(Severity::Risk),
        FailOn::Never => None,
    };
    let failed = threshold
        .zip(worst)
        .is_some_and(|(threshold, worst)| worst >= threshold);
    match (failed, counts_incomplete) {
        (true, _) => 2,
        (false, true) => 3,
        (false, false) => 0,
    }
}

#[cfg(test)]
mod tests;
