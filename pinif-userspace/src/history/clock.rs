//! How old what is kept is. The wall clock does not say: it may be set, and a card without a clock of its own begins at 1970.

use std::time::{Duration, SystemTime};

use crate::findings::wall_time::WallTime;

/// A jump of the wall clock by less is none: what disciplines it slews that much.
const SLEW: i64 = 10_000_000;

/// Now, on two clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: SystemTime,
    /// `CLOCK_BOOTTIME`.
    pub since_boot: Duration,
    /// The boot that it is of: `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
}

/// The history's own clock, in microseconds: it goes as long as time certainly passes, and nothing sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// What it shows.
    pub(super) kept: i64,
    /// When that was, on the other clocks.
    pub(super) boot: String,
    pub(super) since_boot: i64,
    pub(super) wall: i64,
}

impl Clock {
    /// One that begins now.
    pub(super) fn new(now: &Now) -> Self {
        Self {
            kept: 0,
            boot: now.boot.clone(),
            since_boot: micros(now.since_boot),
            wall: WallTime::from(now.wall).micros(),
        }
    }

    /// Advances it to now. Returns by how much the wall clock was set meanwhile, where it was.
    ///
    /// Over a reboot, only the wall clock says how long the machine was off. It may be wrong, by years: so no reboot makes what is kept
    /// older than `most`.
    pub(super) fn advance(&mut self, now: &Now, most: Duration) -> Option<i64> {
        let (since_boot, wall) = (micros(now.since_boot), WallTime::from(now.wall).micros());
        let by_wall = wall.saturating_sub(self.wall);
        let mut set = None;
        if now.boot == self.boot {
            let passed = since_boot.saturating_sub(self.since_boot).max(0);
            self.kept = self.kept.saturating_add(passed);
            let off = by_wall.saturating_sub(passed);
            set = (off.abs() >= SLEW).then_some(off);
        } else {
            let passed = by_wall.clamp(0, micros(most));
            self.kept = self.kept.saturating_add(passed);
            self.boot.clone_from(&now.boot);
        }
        (self.since_boot, self.wall) = (since_boot, wall);
        set
    }
}

/// In microseconds.
pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const DAY: u64 = 86_400;

    fn now(wall: u64, since_boot: u64, boot: &str) -> Now {
        Now {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
            since_boot: Duration::from_secs(since_boot),
            boot: boot.to_owned(),
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing_and_is_said() {
        let mut clock = Clock::new(&now(1000, 100, "a"));
        let most = Duration::from_secs(DAY);
        assert_eq!(clock.advance(&now(1005, 105, "a"), most), None);
        assert_eq!(clock.kept, 5 * SECOND);
        // From 1970 to today, and back by an hour.
        let today = 1_700_000_000;
        let forward = clock.advance(&now(today, 106, "a"), most);
        assert_eq!(forward, Some((1_700_000_000 - 1006) * SECOND));
        let back = clock.advance(&now(today - 3600, 107, "a"), most);
        assert_eq!(back, Some(-3601 * SECOND));
        assert_eq!(clock.kept, 7 * SECOND);
        assert_eq!(clock.advance(&now(today - 3599, 108, "a"), most), None);
        assert_eq!(clock.kept, 8 * SECOND);
    }

    #[test]
    fn a_reboot_ages_by_the_wall_clock_and_never_by_more_than_it_may() {
        let most = Duration::from_secs(10 * DAY);
        let after = |wall| {
            let mut clock = Clock::new(&now(50 * DAY, 100, "a"));
            let set = clock.advance(&now(wall, 1, "b"), most);
            assert_eq!(set, None);
            assert_eq!(clock.boot, "b");
            clock.kept / SECOND
        };
        assert_eq!(after(50 * DAY + 60), 60);
        // It was off for longer, or the clock is wrong: nobody knows.
        assert_eq!(after(20_000 * DAY), 10 * DAY as i64);
        // A card without a clock begins at 1970.
        assert_eq!(after(0), 0);
    }
}
