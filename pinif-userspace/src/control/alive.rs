//! When those who follow get the line by which they know that the auditor goes on: one that is stopped closes nothing, and who asks by requests wakes it for each.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};

/// How often they get it.
const PERIOD: Duration = Duration::from_secs(5);

/// The moments at which all of them get it: the same for each, so that the auditor is woken once for all.
#[derive(Clone, Copy, Debug)]
pub struct Alive(Instant);

impl Alive {
    /// From now on.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// Waits for the next moment; for ever where there is none.
    pub async fn next(alive: Option<&Self>) {
        match alive {
            Some(alive) => sleep_until(alive.after(Instant::now())).await,
            None => pending().await,
        }
    }

    fn after(&self, moment: Instant) -> Instant {
        let passed = moment.saturating_duration_since(self.0);
        let into = passed.as_nanos() % PERIOD.as_nanos();
        // Less than the period, which has few nanoseconds.
        moment + PERIOD - Duration::from_nanos(into as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_get_it_at_the_same_moments() {
        let alive = Alive::now();
        let at = |milliseconds| alive.0 + Duration::from_millis(milliseconds);
        for (asked, given) in [
            (0, 5_000),
            (1, 5_000),
            (4_999, 5_000),
            (5_000, 10_000),
            (12_345, 15_000),
        ] {
            assert_eq!(alive.after(at(asked)), at(given), "{asked}");
        }
    }
}
