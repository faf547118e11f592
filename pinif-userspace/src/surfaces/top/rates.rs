//! How fast counts grow: packets a second, between two states of the auditor.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The rates of counts, each under a key.
#[derive(Debug)]
pub struct Rates<K> {
    at: Option<Duration>,
    counts: HashMap<K, Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    number: u64,
    rate: Option<f64>,
}

impl<K> Default for Rates<K> {
    fn default() -> Self {
        Self {
            at: None,
            counts: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash> Rates<K> {
    /// Takes counts as they were at that time.
    pub fn take(&mut self, at: Duration, counts: impl Iterator<Item = (K, u64)>) {
        let passed = self
            .at
            .map(|before| at.saturating_sub(before).as_secs_f64());
        if passed == Some(0.0) {
            return;
        }
        let counts = counts.map(|(key, number)| {
            // Where a count begins, or begins anew, there is nothing to compare with.
            let before = self.counts.get(&key).map(|count| count.number);
            let grown = before.and_then(|before| number.checked_sub(before));
            let rate = passed
                .zip(grown)
                .map(|(passed, grown)| grown as f64 / passed);
            (key, Count { number, rate })
        });
        self.counts = counts.collect();
        self.at = Some(at);
    }

    /// Forgets what was before: the counts that come are others.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// How fast a count grows, a second; nothing where it is not known.
    pub fn of(&self, key: &K) -> Option<f64> {
        self.counts.get(key)?.rate
    }
}

/// A rate for people: `1,040/s`, `0.5/s`; nothing where nothing grows.
pub fn text(rate: Option<f64>) -> String {
    match rate {
        Some(rate) if rate >= 9.95 => {
            format!("{}/s", crate::text::words::grouped(rate.round() as u64))
        }
        Some(rate) if rate > 0.0 => format!("{:.1}/s", rate.max(0.1)),
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_added_in_the_time_between() {
        let mut rates = Rates::default();
        let second = Duration::from_secs;
        rates.take(second(1), [("a", 100), ("b", 5)].into_iter());
        assert_eq!(rates.of(&"a"), None, "of one state there is none");
        rates.take(second(3), [("a", 2180), ("b", 5), ("c", 1)].into_iter());
        let shown = |rates: &Rates<_>| ["a", "b", "c"].map(|key| text(rates.of(&key)));
        assert_eq!(shown(&rates), ["1,040/s", "", ""]);
        rates.take(second(5), [("a", 2180), ("b", 5), ("c", 2)].into_iter());
        assert_eq!(shown(&rates), ["", "", "0.5/s"]);
        rates.take(second(6), [("a", 3)].into_iter());
        assert_eq!((rates.of(&"a"), rates.of(&"b")), (None, None));
        rates.take(second(6), [("a", 9)].into_iter());
        rates.take(second(7), [("a", 4)].into_iter());
        assert_eq!(
            rates.of(&"a"),
            Some(1.0),
            "the same state twice says nothing new"
        );
        rates.forget();
        rates.take(second(9), [("a", 9)].into_iter());
        assert_eq!(rates.of(&"a"), None);
    }
}
