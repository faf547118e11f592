//! Until when leaks are dropped: the kernel looks at its own clock, and this tells what follows of it. It reads no clock:
//! `now` is `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` tells it.

use std::time::Duration;

use pinif_ebpf::enforce::until;

/// What the operator asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Enforce {
    /// Nothing is dropped.
    #[default]
    Never,
    /// Leaks are dropped for as long as the audit runs (`--enforce`).
    Always,
    /// Leaks are dropped for this time, and then no more, unless that is confirmed (`--enforce-for`).
    For {
        /// How long.
        time: Duration,
        /// What the operator does to confirm it: `press Enter`.
        confirm: String,
    },
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    asked: Enforce,
    state: State,
    /// An earlier collector began it.
    goes_on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is dropped.
    Off,
    /// Leaks are dropped, until somebody ends the audit.
    On,
    /// Leaks are dropped until then.
    Until(Duration),
}

/// What a confirmation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Leaks are dropped for good now.
    Now,
    /// They were before.
    Already,
    /// It came too late.
    TooLate,
}

impl Enforcement {
    /// What was asked for, from now on.
    pub fn new(asked: Enforce, now: Duration) -> Self {
        let state = match asked {
            Enforce::Never => State::Off,
            Enforce::Always => State::On,
            Enforce::For { time, .. } => State::Until(now.saturating_add(time)),
        };
        Self {
            asked,
            state,
            goes_on: false,
        }
    }

    /// The same, where an earlier collector has told the kernel already until when: what was confirmed stays confirmed, and a
    /// time that is not over yet does not begin anew.
    pub fn resume(asked: Enforce, told: u64, now: Duration) -> Self {
        let mut new = Self::new(asked, now);
        if let State::Until(_) = new.state {
            let deadline = Duration::from_nanos(told);
            if told == until::ALWAYS {
                (new.state, new.goes_on) = (State::On, true);
            } else if deadline > now {
                (new.state, new.goes_on) = (State::Until(deadline), true);
            }
        }
        new
    }

    /// Begins again now: what can be confirmed has all its time from here on, unless it goes on from an earlier collector.
    pub fn begin(&mut self, now: Duration) {
        if !self.goes_on {
            *self = Self::new(std::mem::take(&mut self.asked), now);
        }
    }

    /// What the kernel is to be told ([`pinif_ebpf::enforce::until`]).
    pub fn until(&self) -> u64 {
        match self.state {
            State::Off => until::NEVER,
            State::On => until::ALWAYS,
            // Neither of the two, however long it is.
            State::Until(deadline) => u64::try_from(deadline.as_nanos())
                .unwrap_or(until::ALWAYS)
                .clamp(until::NEVER + 1, until::ALWAYS - 1),
        }
    }

    /// Whether leaks are dropped, as far as is known.
    pub fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// The time after which nothing is dropped any more, and how that is confirmed before.
    pub fn to_confirm(&self) -> Option<(Duration, &str)> {
        match (&self.asked, self.state) {
            (Enforce::For { time, confirm }, State::Until(_)) => Some((*time, confirm)),
            _ => None,
        }
    }

    /// How long it is until nothing is dropped any more, if that is to come.
    pub fn ends_in(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Until(deadline) => Some(deadline.saturating_sub(now)),
            State::Off | State::On => None,
        }
    }

    /// Confirms it, if that is not too late.
    pub fn confirm(&mut self, now: Duration) -> Confirmed {
        match self.state {
            State::Until(deadline) if now < deadline => {
                self.state = State::On;
                Confirmed::Now
            }
            State::On => Confirmed::Already,
            State::Until(_) | State::Off => Confirmed::TooLate,
        }
    }

    /// Takes note that the time is over.
    pub fn end(&mut self) {
        self.state = State::Off;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn for_a_minute() -> Enforcement {
        let asked = Enforce::For {
            time: 60 * SECOND,
            confirm: "press Enter".to_owned(),
        };
        Enforcement::new(asked, 100 * SECOND)
    }

    #[test]
    fn what_needs_no_confirmation_has_no_end() {
        let mut never = Enforcement::new(Enforce::Never, SECOND);
        assert_eq!((never.until(), never.is_on()), (until::NEVER, false));
        assert_eq!(never.confirm(SECOND), Confirmed::TooLate);
        let mut always = Enforcement::new(Enforce::Always, SECOND);
        assert_eq!((always.until(), always.is_on()), (until::ALWAYS, true));
        assert_eq!(always.confirm(SECOND), Confirmed::Already);
        for one in [never, always] {
            assert_eq!((one.ends_in(SECOND), one.to_confirm()), (None, None));
        }
    }

    #[test]
    fn a_deadline_is_the_kernels_and_counts_from_the_beginning() {
        let mut minute = for_a_minute();
        assert_eq!(minute.until(), 160_000_000_000);
        minute.begin(110 * SECOND);
        assert_eq!(minute.until(), 170_000_000_000);
        assert_eq!(minute.ends_in(150 * SECOND), Some(20 * SECOND));
        assert_eq!(minute.ends_in(180 * SECOND), Some(Duration::ZERO));
        assert_eq!(minute.to_confirm(), Some((60 * SECOND, "press Enter")));
    }

    #[test]
    fn it_is_confirmed_in_time_or_not_at_all() {
        let mut minute = for_a_minute();
        assert_eq!(minute.confirm(159 * SECOND), Confirmed::Now);
        assert_eq!((minute.until(), minute.to_confirm()), (until::ALWAYS, None));
        assert_eq!(minute.confirm(170 * SECOND), Confirmed::Already);
        let mut late = for_a_minute();
        assert_eq!(late.confirm(160 * SECOND), Confirmed::TooLate);
        late.end();
        assert_eq!((late.until(), late.is_on()), (until::NEVER, false));
        assert_eq!(late.confirm(161 * SECOND), Confirmed::TooLate);
    }

    #[test]
    fn another_life_neither_prolongs_nor_forgets() {
        let asked = || Enforce::For {
            time: 60 * SECOND,
            confirm: "press Enter".to_owned(),
        };
        let told = 150_000_000_000;
        let mut goes_on = Enforcement::resume(asked(), told, 140 * SECOND);
        goes_on.begin(141 * SECOND);
        assert_eq!(goes_on.until(), told);
        assert_eq!(goes_on.confirm(149 * SECOND), Confirmed::Now);
        let mut confirmed = Enforcement::resume(asked(), until::ALWAYS, 140 * SECOND);
        confirmed.begin(141 * SECOND);
        assert_eq!(confirmed.until(), until::ALWAYS);
        for told in [until::NEVER, 100_000_000_000] {
            let mut anew = Enforcement::resume(asked(), told, 140 * SECOND);
            anew.begin(141 * SECOND);
            assert_eq!(anew.until(), 201_000_000_000);
        }
        let never = Enforcement::resume(Enforce::Never, until::ALWAYS, SECOND);
        assert_eq!(never.until(), until::NEVER);
    }

    #[test]
    fn no_time_is_so_long_that_it_is_for_good() {
        let asked = Enforce::For {
            time: Duration::MAX,
            confirm: String::new(),
        };
        assert_eq!(Enforcement::new(asked, SECOND).until(), until::ALWAYS - 1);
    }
}
