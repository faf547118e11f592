//! When to try again: later each time, and not all machines at once.

use std::time::Duration;

/// How long the first pause is.
const FIRST: Duration = Duration::from_secs(1);
/// How long a pause becomes.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a collector may have itself be left alone (`Retry-After`).
const MOST: Duration = Duration::from_secs(3600);

/// The pauses between attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    failures: u32,
}

impl Pace {
    /// It was taken: the next pause is the first again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// It failed: how long to wait, with `jitter` from 0 to 1. Where the collector says how long, no less than that.
    pub fn failed(&mut self, asked: Option<Duration>, jitter: f64) -> Duration {
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        let pause = doubled.min(LONGEST);
        // A collector that comes back is not asked by a thousand cards in the same moment.
        match asked {
            None => pause.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0),
            Some(asked) => asked.min(MOST) + pause.mul_f64(jitter.clamp(0.0, 1.0)) / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pace: &mut Pace, asked: Option<u64>, jitter: f64) -> f64 {
        let asked = asked.map(Duration::from_secs);
        pace.failed(asked, jitter).as_secs_f64()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut pace = Pace::default();
        let pauses: Vec<_> = (0..7).map(|_| seconds(&mut pace, None, 0.0)).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        for _ in 0..100 {
            assert_eq!(seconds(&mut pace, None, 1.0), 15.0);
        }
        pace.succeeded();
        assert_eq!(seconds(&mut pace, None, 1.0), 0.5);
    }

    #[test]
    fn a_collector_is_left_alone_as_long_as_it_says() {
        let mut pace = Pace::default();
        assert_eq!(seconds(&mut pace, Some(7), 0.0), 7.0);
        assert_eq!(seconds(&mut pace, Some(0), 0.0), 0.0);
        assert_eq!(seconds(&mut pace, Some(7), 1.0), 9.0);
        // But not for ever.
        assert_eq!(seconds(&mut pace, Some(u64::MAX), 0.0), 3600.0);
    }
}
