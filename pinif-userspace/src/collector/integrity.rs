//! Whether all of pinif is still where it was attached to: when it is looked at, and what is reported of what was removed. It asks
//! nobody: what was seen comes in, and what is to be reported goes out (`check.rs` looks, and attaches again).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pinif_ebpf::key::{IfIndex, NetNsCookie};

use crate::{findings::removal::Part, kernel::direction::TcDirection};

/// How often all is looked at where something changes it that nobody reports, and how often at most where all is reported.
const EVERY: Duration = Duration::from_secs(2);
/// How often in any case.
const RARELY: Duration = Duration::from_secs(60);
/// How long before its report something may have been removed: a system call is reported as it returns.
const MARGIN: Duration = Duration::from_millis(100);
/// How soon after a change of the host's interfaces: many come together.
const SOON: Duration = Duration::from_millis(100);

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    /// At an interface.
    Interface(NetNsCookie, IfIndex, TcDirection),
    /// At the cgroup: any of the hooks.
    Hooks,
    /// In the file system: any of the maps' pins.
    Pins,
    /// In the table of traffic programs.
    Traffic(TcDirection),
}

impl Spot {
    pub(super) fn part(self) -> Part {
        match self {
            Self::Interface(_, _, direction) => Part::AtInterface(direction),
            Self::Hooks => Part::Hooks,
            Self::Pins => Part::Pins,
            Self::Traffic(direction) => Part::Traffic(direction),
        }
    }

    /// The interface; none where it is for all.
    pub(super) fn interface(self) -> Option<(NetNsCookie, IfIndex)> {
        match self {
            Self::Interface(netns, index, _) => Some((netns, index)),
            Self::Hooks | Self::Pins | Self::Traffic(_) => None,
        }
    }
}

/// What is asked before pinif's program at each interface: the numbers of programs, and the places of filters.
pub(super) type Before = BTreeMap<(NetNsCookie, IfIndex), Vec<u32>>;

/// What may happen.
#[derive(Debug)]
pub(super) enum Input {
    /// An interface has come, changed or gone.
    Changed,
    /// Something was done since then that may have removed a part, or put something before it.
    Happened { since: Instant },
    /// All was looked at.
    Checked {
        /// What was removed, and what came of attaching it again.
        removed: BTreeMap<Spot, Result<(), String>>,
        before: Before,
        /// Whether all that can remove a part is reported ([`Input::Happened`]): then nothing is looked at on time.
        is_reported: bool,
    },
}

/// What is to be reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// A part was removed.
    Hole {
        spot: Spot,
        /// How many times by now.
        times: u64,
        /// How long it was not there, in all and at most.
        length: Duration,
        /// Why it could not be attached again.
        error: Option<String>,
    },
    /// What comes before pinif somewhere is not what it was: it is to be looked for.
    Ahead,
}

/// What is known of one part.
#[derive(Debug, Default)]
struct Hole {
    times: u64,
    /// Without the one that is open.
    length: Duration,
    /// Since when it may be open.
    open: Option<Instant>,
}

impl Hole {
    fn output(&self, spot: Spot, error: Option<String>) -> Output {
        Output::Hole {
            spot,
            times: self.times,
            length: self.length,
            error,
        }
    }
}

/// All parts.
pub(super) struct Integrity {
    /// When all was looked at for the last time.
    checked: Instant,
    due: Instant,
    /// Whether all that happened since then is reported.
    is_reported: bool,
    /// The first of it.
    happened: Option<Instant>,
    holes: BTreeMap<Spot, Hole>,
    before: Before,
}

impl Integrity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            checked: now,
            due: now + EVERY,
            is_reported: false,
            happened: None,
            holes: BTreeMap::new(),
            before: Before::new(),
        }
    }

    /// Whether all that can remove a part is reported.
    pub(super) fn is_reported(&self) -> bool {
        self.is_reported
    }

    /// When all is to be looked at.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Takes what has happened.
    pub(super) fn on(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Changed => {
                self.due = self.due.min(now + SOON);
                Vec::new()
            }
            Input::Happened { since } => {
                self.happened.get_or_insert(since);
                // Where it happens all the time, it is looked at as often as on time.
                let soon = (now + SOON).max(self.checked + EVERY);
                self.due = self.due.min(soon);
                Vec::new()
            }
            Input::Checked {
                removed,
                before,
                is_reported,
            } => {
                let mut outputs = self.close(&removed, now);
                outputs.extend(self.take(removed, now));
                // An interface that is new is looked at for what comes before pinif there anyway.
                let has_more = |(at, programs): (&_, &Vec<u32>)| {
                    !programs.is_empty() && self.before.get(at) != Some(programs)
                };
                if before.iter().any(has_more) {
                    outputs.push(Output::Ahead);
                }
                self.before = before;
                self.checked = now;
                self.happened = None;
                self.is_reported = is_reported;
                // What could not be closed is tried again.
                let is_open = self.holes.values().any(|hole| hole.open.is_some());
                self.due = now
                    + if is_reported && !is_open {
                        RARELY
                    } else {
                        EVERY
                    };
                outputs
            }
        }
    }

    /// What was missing, and is not any more: somebody has put it back, or its interface is gone.
    fn close(&mut self, removed: &BTreeMap<Spot, Result<(), String>>, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (&spot, hole) in &mut self.holes {
            if let Some(since) = hole.open
                && !removed.contains_key(&spot)
            {
                hole.open = None;
                hole.length += now - since;
                outputs.push(hole.output(spot, None));
            }
        }
        outputs
    }

    /// Since when a hole may be open that is found now.
    fn begun(&self) -> Instant {
        let reported = self.happened.filter(|_| self.is_reported);
        let reported = reported.and_then(|first| first.checked_sub(MARGIN));
        reported.map_or(self.checked, |first| first.max(self.checked))
    }

    fn take(&mut self, removed: BTreeMap<Spot, Result<(), String>>, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        let begun = self.begun();
        for (spot, again) in removed {
            let hole = self.holes.entry(spot).or_default();
            if hole.open.is_none() {
                hole.times += 1;
            }
            let since = *hole.open.get_or_insert(begun);
            outputs.push(match again {
                Ok(()) => {
                    hole.open = None;
                    hole.length += now - since;
                    hole.output(spot, None)
                }
                Err(error) => Output::Hole {
                    spot,
                    times: hole.times,
                    length: hole.length + (now - since),
                    error: Some(error),
                },
            });
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: NetNsCookie = NetNsCookie(1);
    const ETH1: IfIndex = IfIndex(2);
    const EGRESS: Spot = Spot::Interface(CARD, ETH1, TcDirection::Egress);

    fn hole(spot: Spot, times: u64, millis: u64, error: Option<&str>) -> Output {
        Output::Hole {
            spot,
            times,
            length: Duration::from_millis(millis),
            error: error.map(str::to_owned),
        }
    }

    struct Clock {
        integrity: Integrity,
        start: Instant,
        is_reported: bool,
    }

    impl Clock {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                integrity: Integrity::new(start),
                start,
                is_reported: false,
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn checked(
            &mut self,
            millis: u64,
            removed: &[(Spot, Result<(), &str>)],
            before: &[u32],
        ) -> Vec<Output> {
            let removed = removed
                .iter()
                .map(|(spot, again)| (*spot, again.map_err(str::to_owned)));
            let input = Input::Checked {
                removed: removed.collect(),
                before: [((CARD, ETH1), before.to_vec())].into(),
                is_reported: self.is_reported,
            };
            self.integrity.on(input, self.at(millis))
        }
    }

    #[test]
    fn a_hole_is_as_long_as_from_the_last_look_until_it_is_closed() {
        let mut clock = Clock::new();
        assert_eq!(clock.checked(2_000, &[], &[]), []);
        assert_eq!(
            clock.checked(4_100, &[(EGRESS, Ok(()))], &[]),
            [hole(EGRESS, 1, 2_100, None)]
        );
        assert_eq!(clock.checked(6_000, &[], &[]), []);
        assert_eq!(
            clock.checked(8_000, &[(EGRESS, Ok(()))], &[]),
            [hole(EGRESS, 2, 4_100, None)]
        );
    }

    #[test]
    fn what_cannot_be_closed_grows_until_it_is() {
        let mut clock = Clock::new();
        let hook = Spot::Hooks;
        assert_eq!(
            clock.checked(2_000, &[(hook, Err("no"))], &[]),
            [hole(hook, 1, 2_000, Some("no"))]
        );
        assert_eq!(
            clock.checked(4_000, &[(hook, Err("no"))], &[]),
            [hole(hook, 1, 4_000, Some("no"))]
        );
        assert_eq!(clock.checked(6_000, &[], &[]), [hole(hook, 1, 6_000, None)]);
        assert_eq!(clock.checked(8_000, &[], &[]), []);
    }

    #[test]
    fn what_comes_before_pinif_is_looked_for_when_it_comes() {
        let mut clock = Clock::new();
        assert_eq!(clock.checked(2_000, &[], &[]), []);
        assert_eq!(clock.checked(4_000, &[], &[7]), [Output::Ahead]);
        assert_eq!(clock.checked(6_000, &[], &[7]), []);
        assert_eq!(clock.checked(8_000, &[], &[8]), [Output::Ahead]);
        assert_eq!(clock.checked(10_000, &[], &[]), []);
    }

    #[test]
    fn it_is_looked_every_two_seconds_and_soon_after_a_change() {
        let mut clock = Clock::new();
        assert_eq!(clock.integrity.due(), clock.at(2_000));
        clock.checked(2_000, &[], &[]);
        assert_eq!(clock.integrity.due(), clock.at(4_000));
        clock.integrity.on(Input::Changed, clock.at(2_500));
        clock.integrity.on(Input::Changed, clock.at(2_550));
        assert_eq!(clock.integrity.due(), clock.at(2_600));
    }

    /// One whose parts nobody can remove unreported.
    fn reported() -> Clock {
        let mut clock = Clock {
            is_reported: true,
            ..Clock::new()
        };
        clock.checked(2_000, &[], &[]);
        clock
    }

    #[test]
    fn it_is_not_looked_on_time_where_all_is_reported() {
        let mut clock = reported();
        assert_eq!(clock.integrity.due(), clock.at(62_000));
        let since = clock.at(7_000);
        clock
            .integrity
            .on(Input::Happened { since }, clock.at(7_001));
        assert_eq!(clock.integrity.due(), clock.at(7_101));
        // It was removed by what was reported, and shortly before that at most.
        let found = clock.checked(7_101, &[(EGRESS, Ok(()))], &[]);
        assert_eq!(found, [hole(EGRESS, 1, 201, None)]);
        assert_eq!(clock.integrity.due(), clock.at(67_101));
        // Nothing was reported: it may have been so for as long as nobody has looked.
        let found = clock.checked(67_101, &[(EGRESS, Ok(()))], &[]);
        assert_eq!(found, [hole(EGRESS, 2, 60_201, None)]);
    }

    #[test]
    fn what_happens_all_the_time_is_looked_at_as_often_as_on_time() {
        let mut clock = reported();
        for millis in [2_010, 2_020, 2_500] {
            let now = clock.at(millis);
            clock.integrity.on(Input::Happened { since: now }, now);
            assert_eq!(clock.integrity.due(), clock.at(4_000));
        }
        clock.checked(4_000, &[], &[]);
        let now = clock.at(4_001);
        clock.integrity.on(Input::Happened { since: now }, now);
        assert_eq!(clock.integrity.due(), clock.at(6_000));
    }

    #[test]
    fn a_part_that_is_missing_is_looked_at_on_time() {
        let mut clock = reported();
        clock.checked(3_000, &[(EGRESS, Err("no"))], &[]);
        assert_eq!(clock.integrity.due(), clock.at(5_000));
        clock.checked(5_000, &[], &[]);
        assert_eq!(clock.integrity.due(), clock.at(65_000));
    }
}
