//! What a machine prints: a line for each test, and each scenario's account of itself.

use crate::{
    tally::{Timed, Totals},
    vm::results::Done,
};

const BEGINS: &str = "-- the tests begin --";
const ENDED: &str = "-- the tests have ended --";

/// What became of the tests in a machine.
#[derive(Debug)]
pub enum Printed {
    /// They did not begin.
    Nothing,
    /// They did not come to their end; the last line.
    Part(String),
    /// They did.
    All(All),
}

/// What a machine printed that came to the tests' end.
#[derive(Debug, Default)]
pub struct All {
    /// How many passed and failed, and how long each took.
    pub done: Done,
    /// What failed, with what it printed.
    pub failures: Vec<String>,
    /// The scenarios' accounts, each in JSON.
    pub accounts: Vec<String>,
    /// After how many seconds its first program ran.
    pub up: f64,
}

/// Reads what the machine printed of so many tests. One that is missing has failed.
pub fn read(console: &str, tests: usize) -> Printed {
    let Some((_, printed)) = console.split_once(BEGINS) else {
        return Printed::Nothing;
    };
    let Some((printed, _)) = printed.split_once(ENDED) else {
        let last = printed.lines().rfind(|line| !line.trim().is_empty());
        return Printed::Part(last.unwrap_or_default().to_owned());
    };
    let mut all = All::default();
    let mut is_failure = false;
    for line in printed.lines().map(|line| line.trim_end_matches('\r')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, test(rest)) {
            ("passed", Some(timed)) => {
                is_failure = false;
                all.done.totals.passed += 1;
                all.done.tests.push(timed);
            }
            ("failed", Some(timed)) => {
                is_failure = true;
                all.done.totals.failed += 1;
                all.failures.push(timed.name.clone());
                all.done.tests.push(timed);
            }
            ("scenario", _) => {
                is_failure = false;
                all.accounts.push(rest.to_owned());
            }
            ("up", _) => all.up = rest.parse().unwrap_or_default(),
            _ => {
                if let Some(last) = all.failures.last_mut().filter(|_| is_failure) {
                    *last += "\n  ";
                    *last += line;
                }
            }
        }
    }
    let Totals { passed, failed, .. } = all.done.totals;
    let missing = tests.saturating_sub(passed + failed);
    all.done.totals = all.done.totals.plus(Totals::of_failures(missing));
    all.done.success = all.done.totals.failed == 0;
    Printed::All(all)
}

/// The test of a line `BEGAN ENDED BINARY NAME`, its times in seconds.
fn test(line: &str) -> Option<Timed> {
    let mut words = line.splitn(3, ' ');
    let mut seconds = || words.next()?.parse::<f64>().ok();
    let (began, ended) = (seconds()?, seconds()?);
    Some(Timed {
        name: words.next()?.to_owned(),
        seconds: ended - began,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_counts_with_what_a_failure_printed() {
        let console = format!(
            "[    0.0] Linux\r\n{BEGINS}\r\nup 5.25\r\npassed 5.50 8.00 audit escapes::a\r\nfailed 8.00 9.00 hold run::b\r\nwhy\r\n\
             scenario {{\"scenario\":\"9 a\"}}\r\nnoise\r\n{ENDED}\r\npassed 1 2 audit c\r\n"
        );
        let Printed::All(all) = read(&console, 3) else {
            panic!("it came to its end");
        };
        let totals = Totals {
            passed: 1,
            failed: 2,
            skipped: 0,
        };
        assert_eq!(all.done.totals, totals, "one is missing");
        assert!(!all.done.success);
        assert_eq!(all.failures, ["hold run::b\n  why"]);
        assert_eq!(all.accounts, ["{\"scenario\":\"9 a\"}"]);
        let seconds: Vec<_> = all.done.tests.iter().map(|test| test.seconds).collect();
        assert_eq!((all.up, seconds), (5.25, vec![2.5, 1.0]));
    }

    #[test]
    fn a_machine_that_did_not_come_up_is_distinguished_from_one_that_was_cut_short() {
        assert!(matches!(read("[    0.0] Linux\r\n", 1), Printed::Nothing));
        let cut = format!("{BEGINS}\r\nup 5\r\npassed 1 2 audit a\r\n");
        match read(&cut, 2) {
            Printed::Part(last) => assert_eq!(last, "passed 1 2 audit a"),
            other => panic!("{other:?}"),
        }
    }
}
