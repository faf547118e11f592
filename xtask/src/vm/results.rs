//! What became of a kernel: its shares put together, and what it counts where it did not run.

use std::{env, time::Duration};

use crate::{
    scenarios::{self, Scenario},
    tally::{Timed, Totals},
};

/// How one share of a kernel's tests ended.
#[derive(Debug)]
pub enum Ended {
    /// The tests came to their end.
    Done(Done),
    /// The tests could not be run in the machine.
    Broken(String),
    /// The machine did not come to the tests' end.
    Cut(String),
    /// The machine did not come up.
    NotUp(String),
}

/// What became of the tests of a share, or of all.
#[derive(Debug, Default)]
pub struct Done {
    /// How many passed, failed and were skipped by the runner.
    pub totals: Totals,
    /// Whether the runner found that all passed.
    pub success: bool,
    /// How long each took.
    pub tests: Vec<Timed>,
    /// What the scenarios said.
    pub scenarios: Vec<Scenario>,
    /// How long the machine ran.
    pub time: Duration,
}

/// What became of a kernel.
#[derive(Debug)]
pub enum Kernel {
    /// It ran tests.
    Ran {
        /// What became of them; a machine that failed as a whole counts one.
        done: Done,
        /// Why machines failed.
        broken: Vec<String>,
    },
    /// No test ran on it.
    DidNotRun(String),
}

impl Kernel {
    /// Puts its shares together.
    pub fn of(shares: Vec<Ended>) -> Self {
        let mut done = Done {
            success: true,
            ..Done::default()
        };
        let mut broken = Vec::new();
        let mut not_up = Vec::new();
        for share in shares {
            match share {
                Ended::Done(part) => {
                    done.totals = done.totals.plus(part.totals);
                    done.success &= part.success;
                    done.tests.extend(part.tests);
                    done.scenarios.extend(part.scenarios);
                    done.time += part.time;
                }
                Ended::Broken(reason) | Ended::Cut(reason) => broken.push(reason),
                Ended::NotUp(reason) => not_up.push(reason),
            }
        }
        let has_run = done.totals != Totals::default() || !broken.is_empty();
        if !has_run {
            let reason = not_up.into_iter().next();
            return Self::DidNotRun(reason.unwrap_or_else(|| "no test ran".to_owned()));
        }
        // Its other machines came up: that is a fault, and none of what this machine has.
        broken.extend(not_up);
        done.totals =
            scenarios::count(done.totals, &done.scenarios).plus(Totals::of_failures(broken.len()));
        done.success &= broken.is_empty();
        Self::Ran { done, broken }
    }
}

impl Done {
    /// What the scenarios said, in a sentence.
    pub fn summary(&self) -> String {
        scenarios::summary(&self.scenarios)
    }
}

/// What a kernel counts that did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// One failed, for what decides whether a change is taken.
    Fails,
    /// One skipped, for a person whose machine cannot run it.
    Skips,
}

impl Absence {
    /// By the environment variable `CI`.
    pub fn here() -> Self {
        Self::by(env::var("CI").ok().as_deref())
    }

    fn by(ci: Option<&str>) -> Self {
        match ci {
            None | Some("" | "0" | "false") => Self::Skips,
            Some(_) => Self::Fails,
        }
    }

    /// What it counts.
    pub fn totals(self) -> Totals {
        match self {
            Self::Fails => Totals::of_failures(1),
            Self::Skips => Totals::of_skip(),
        }
    }

    /// The sentence that says so.
    pub fn sentence(self, name: &str, reason: &str) -> String {
        match self {
            Self::Fails => {
                format!("{name} did not run, which is a failure with CI set: {reason}")
            }
            Self::Skips => format!("{name} did not run, and is skipped: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(passed: usize, failed: usize, skipped: usize) -> Totals {
        Totals {
            passed,
            failed,
            skipped,
        }
    }

    fn done(passed: usize, failed: usize) -> Ended {
        Ended::Done(Done {
            totals: totals(passed, failed, 0),
            success: failed == 0,
            time: Duration::from_secs(2),
            ..Done::default()
        })
    }

    #[test]
    fn a_kernel_that_did_not_run_fails_in_ci_and_is_skipped_by_hand() {
        for by_hand in [None, Some(""), Some("0"), Some("false")] {
            assert_eq!(Absence::by(by_hand).totals(), totals(0, 0, 1));
        }
        for ci in [Some("true"), Some("1")] {
            assert_eq!(Absence::by(ci).totals(), totals(0, 1, 0));
        }
    }

    #[test]
    fn shares_are_added() {
        let Kernel::Ran { done, broken } = Kernel::of(vec![done(3, 0), done(2, 1)]) else {
            panic!("it ran");
        };
        assert_eq!(done.totals, totals(5, 1, 0));
        assert!(!done.success);
        assert_eq!(done.time, Duration::from_secs(4));
        assert!(broken.is_empty());
    }

    #[test]
    fn a_machine_that_breaks_is_a_failure_whoever_asks() {
        let lost = |share| {
            let Kernel::Ran { done, broken } = Kernel::of(vec![done(3, 0), share]) else {
                panic!("it ran");
            };
            (done.totals, done.success, broken)
        };
        let reason = || "why".to_owned();
        let expected = (totals(3, 1, 0), false, vec![reason()]);
        assert_eq!(lost(Ended::Broken(reason())), expected);
        assert_eq!(lost(Ended::Cut(reason())), expected);
        assert_eq!(lost(Ended::NotUp(reason())), expected);
        assert!(matches!(
            Kernel::of(vec![Ended::Broken(reason())]),
            Kernel::Ran { .. }
        ));
    }

    #[test]
    fn a_kernel_without_a_test_did_not_run() {
        let reason = |shares| match Kernel::of(shares) {
            Kernel::DidNotRun(reason) => reason,
            Kernel::Ran { .. } => panic!("it did not run"),
        };
        assert_eq!(reason(vec![done(0, 0), done(0, 0)]), "no test ran");
        let not_up = || Ended::NotUp("why".to_owned());
        assert_eq!(reason(vec![not_up(), not_up()]), "why");
        assert_eq!(reason(vec![]), "no test ran");
    }
}
