//! Until when leaks are dropped: the kernel looks at its own clock, and this says what follows of it. It reads no clock:
//! `now` is `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` returns it.

use std::{sync::Arc, time::Duration};

use pinif_ebpf::enforce::{Action, until};

use crate::{
    hub::{Event, Notice, notice::Confirmed},
    policy::Policy,
};

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

/// What may happen to it.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// All is attached: what can be confirmed has all its time from here on, unless it goes on from a previous instance.
    Begin,
    /// The audit is ready, and the operator can be asked.
    Ready,
    /// The operator confirms it.
    Confirm,
    /// The deadline is over, by the kernel's clock: the kernel has ceased to drop by itself.
    TimeOver,
    /// A policy is in force from now on.
    Policy(&'a Policy),
}

/// The state of the enforcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    asked: Enforce,
    state: State,
    /// A previous instance began it.
    goes_on: bool,
    /// The programs stay attached when pinif ends.
    persists: bool,
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

impl State {
    fn of(asked: &Enforce, now: Duration) -> Self {
        match asked {
            Enforce::Never => Self::Off,
            Enforce::Always => Self::On,
            Enforce::For { time, .. } => Self::Until(now.saturating_add(*time)),
        }
    }
}

impl Enforcement {
    /// What was asked for, from now on. `written` is what a previous instance has written for the kernel ([`until`]): what was
    /// confirmed stays confirmed, and a time that is not over yet does not begin again.
    pub fn new(asked: Enforce, written: u64, persists: bool, now: Duration) -> Self {
        let mut state = State::of(&asked, now);
        let mut goes_on = false;
        if let State::Until(_) = state {
            let deadline = Duration::from_nanos(written);
            if written == until::ALWAYS {
                (state, goes_on) = (State::On, true);
            } else if deadline > now {
                (state, goes_on) = (State::Until(deadline), true);
            }
        }
        Self {
            asked,
            state,
            goes_on,
            persists,
        }
    }

    /// Takes what has happened. What the kernel is to do from now on is [`Self::until`].
    pub fn on(&mut self, input: Input<'_>, now: Duration) -> Vec<Event> {
        let notice = match input {
            Input::Begin => {
                if !self.goes_on {
                    self.state = State::of(&self.asked, now);
                }
                None
            }
            Input::Ready => self.to_confirm(now),
            Input::Confirm => Some(self.confirm(now)),
            Input::TimeOver => {
                self.state = State::Off;
                Some(Notice::EnforcementEnded)
            }
            Input::Policy(policy) => self.not_enforced(policy),
        };
        let events = notice.into_iter();
        events
            .map(|notice| Event::Notice(Arc::new(notice)))
            .collect()
    }

    /// What the kernel is to do ([`pinif_ebpf::enforce::until`]).
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

    /// Whether leaks were to be dropped.
    pub fn is_asked(&self) -> bool {
        self.asked != Enforce::Never
    }

    /// Whether it ends by itself, unless it is confirmed.
    pub fn may_end(&self) -> bool {
        matches!(self.state, State::Until(_))
    }

    /// How long it is until nothing is dropped any more, if that is to come.
    pub fn ends_in(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Until(deadline) => Some(deadline.saturating_sub(now)),
            State::Off | State::On => None,
        }
    }

    /// How to keep what else ends by itself.
    fn to_confirm(&self, now: Duration) -> Option<Notice> {
        let (Enforce::For { time, confirm }, Some(rest)) = (&self.asked, self.ends_in(now)) else {
            return None;
        };
        Some(Notice::EnforcementToConfirm {
            // Less, where a previous instance began it.
            time: (*time).min(Duration::from_secs(rest.as_secs() + 1)),
            confirm: confirm.clone(),
        })
    }

    fn confirm(&mut self, now: Duration) -> Notice {
        let outcome = match self.state {
            State::Until(deadline) if now < deadline => {
                self.state = State::On;
                Confirmed::Now
            }
            State::On => Confirmed::Already,
            State::Until(_) | State::Off => Confirmed::TooLate,
        };
        Notice::EnforcementConfirmed {
            outcome,
            persists: self.persists,
        }
    }

    /// The rules that drop, where nothing is dropped.
    fn not_enforced(&self, policy: &Policy) -> Option<Notice> {
        let rules = policy.rules.iter();
        let rules: Vec<String> = rules
            .filter(|rule| rule.action == Action::Drop)
            .map(|rule| rule.name.clone())
            .collect();
        (!self.is_on() && !rules.is_empty()).then_some(Notice::PolicyNotEnforced { rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn asked() -> Enforce {
        Enforce::For {
            time: 60 * SECOND,
            confirm: "press Enter".to_owned(),
        }
    }

    fn new(asked: Enforce, now: Duration) -> Enforcement {
        Enforcement::new(asked, until::NEVER, false, now)
    }

    fn notices(events: Vec<Event>) -> Vec<Notice> {
        let notice = |event| match event {
            Event::Notice(notice) => Some(notice.as_ref().clone()),
            _ => None,
        };
        events.into_iter().filter_map(notice).collect()
    }

    fn confirmed(enforcement: &mut Enforcement, now: Duration) -> Confirmed {
        match notices(enforcement.on(Input::Confirm, now)).as_slice() {
            [Notice::EnforcementConfirmed { outcome, .. }] => *outcome,
            others => panic!("{others:?}"),
        }
    }

    #[test]
    fn what_needs_no_confirmation_has_no_end() {
        let mut never = new(Enforce::Never, SECOND);
        assert_eq!((never.until(), never.is_on()), (until::NEVER, false));
        assert_eq!(confirmed(&mut never, SECOND), Confirmed::TooLate);
        let mut always = new(Enforce::Always, SECOND);
        assert_eq!((always.until(), always.is_on()), (until::ALWAYS, true));
        assert_eq!(confirmed(&mut always, SECOND), Confirmed::Already);
        for mut one in [never, always] {
            assert_eq!((one.ends_in(SECOND), one.may_end()), (None, false));
            assert!(one.on(Input::Ready, SECOND).is_empty());
        }
    }

    #[test]
    fn a_deadline_is_the_kernels_and_counts_from_the_beginning() {
        let mut minute = new(asked(), 100 * SECOND);
        assert_eq!(minute.until(), 160_000_000_000);
        assert!(minute.on(Input::Begin, 110 * SECOND).is_empty());
        assert_eq!(minute.until(), 170_000_000_000);
        assert_eq!(minute.ends_in(150 * SECOND), Some(20 * SECOND));
        assert_eq!(minute.ends_in(180 * SECOND), Some(Duration::ZERO));
        let to_confirm = |time| Notice::EnforcementToConfirm {
            time,
            confirm: "press Enter".to_owned(),
        };
        let asks = notices(minute.on(Input::Ready, 110 * SECOND));
        assert_eq!(asks, [to_confirm(60 * SECOND)]);
        let asks = notices(minute.on(Input::Ready, 160 * SECOND));
        assert_eq!(asks, [to_confirm(11 * SECOND)]);
    }

    #[test]
    fn it_is_confirmed_in_time_or_not_at_all() {
        let mut minute = new(asked(), 100 * SECOND);
        assert_eq!(confirmed(&mut minute, 159 * SECOND), Confirmed::Now);
        assert_eq!((minute.until(), minute.may_end()), (until::ALWAYS, false));
        assert_eq!(confirmed(&mut minute, 170 * SECOND), Confirmed::Already);
        let mut late = new(asked(), 100 * SECOND);
        assert_eq!(confirmed(&mut late, 160 * SECOND), Confirmed::TooLate);
        let ended = notices(late.on(Input::TimeOver, 160 * SECOND));
        assert_eq!(ended, [Notice::EnforcementEnded]);
        assert_eq!((late.until(), late.is_on()), (until::NEVER, false));
        assert_eq!(confirmed(&mut late, 161 * SECOND), Confirmed::TooLate);
    }

    #[test]
    fn another_instance_neither_prolongs_nor_forgets() {
        let resumed = |written| Enforcement::new(asked(), written, true, 140 * SECOND);
        let written = 150_000_000_000;
        let mut goes_on = resumed(written);
        goes_on.on(Input::Begin, 141 * SECOND);
        assert_eq!(goes_on.until(), written);
        assert_eq!(confirmed(&mut goes_on, 149 * SECOND), Confirmed::Now);
        let mut confirmed = resumed(until::ALWAYS);
        confirmed.on(Input::Begin, 141 * SECOND);
        assert_eq!(confirmed.until(), until::ALWAYS);
        for written in [until::NEVER, 100_000_000_000] {
            let mut again = resumed(written);
            again.on(Input::Begin, 141 * SECOND);
            assert_eq!(again.until(), 201_000_000_000);
        }
        let never = Enforcement::new(Enforce::Never, until::ALWAYS, true, SECOND);
        assert_eq!(never.until(), until::NEVER);
    }

    #[test]
    fn no_time_is_so_long_that_it_has_no_end() {
        let asked = Enforce::For {
            time: Duration::MAX,
            confirm: String::new(),
        };
        assert_eq!(new(asked, SECOND).until(), until::ALWAYS - 1);
    }

    #[test]
    fn rules_that_drop_are_reported_where_nothing_is_dropped() {
        let text = "[zone.a]\ninterfaces = [\"eth0\"]\n[[rule]]\nname = \"r\"\ndestination = [\"10.0.0.0/8\"]\nonly_via = [\"a\"]\naction = \"drop\"\n";
        let policy = Policy::parse(text, "policy.toml").expect("the policy is right");
        let mut never = new(Enforce::Never, SECOND);
        let rules = vec!["r".to_owned()];
        let reported = notices(never.on(Input::Policy(&policy), SECOND));
        assert_eq!(reported, [Notice::PolicyNotEnforced { rules }]);
        let mut always = new(Enforce::Always, SECOND);
        assert!(always.on(Input::Policy(&policy), SECOND).is_empty());
    }
}
