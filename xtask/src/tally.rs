//! Counting tests from what the runners report.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ran, and found what they should.
    pub passed: usize,
    /// Ran, and did not.
    pub failed: usize,
    /// Did not run.
    pub skipped: usize,
}

impl Totals {
    /// The tests of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// So many runs that failed as a whole.
    pub fn of_failures(count: usize) -> Self {
        Self {
            failed: count,
            ..Self::default()
        }
    }

    /// A run that was skipped as a whole.
    pub fn of_skip() -> Self {
        Self {
            skipped: 1,
            ..Self::default()
        }
    }

    /// Counts as skipped what the runner took for passed, because the test itself saw that it cannot run here.
    pub fn with_skipped_by_themselves(self, count: usize) -> Self {
        let count = count.min(self.passed);
        Self {
            passed: self.passed - count,
            skipped: self.skipped + count,
            ..self
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// What became of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// How long a test took.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// The test's binary and name.
    pub name: String,
    /// Its seconds.
    pub seconds: f64,
}

/// The outcomes in nextest's `--message-format libtest-json`, by test: its sums by suite count a test twice where a
/// binary's tests end out of order.
#[derive(Debug, Default)]
pub struct Nextest {
    /// With the seconds that each took, where the report has them.
    outcomes: BTreeMap<String, (Outcome, Option<f64>)>,
}

impl Nextest {
    /// Takes one line of the report. What is no test's end is passed over.
    pub fn take(&mut self, line: &str) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let outcome = match (event["type"].as_str(), event["event"].as_str()) {
            (Some("test"), Some("ok")) => Outcome::Passed,
            (Some("test"), Some("failed" | "timeout")) => Outcome::Failed,
            (Some("test"), Some("ignored")) => Outcome::Skipped,
            _ => return,
        };
        if let Some(name) = event["name"].as_str() {
            let seconds = event["exec_time"].as_f64();
            self.outcomes
                .insert(without_attempt(name).to_owned(), (outcome, seconds));
        }
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        let count = |outcome| {
            self.outcomes
                .values()
                .filter(|(other, _)| *other == outcome)
                .count()
        };
        Totals {
            passed: count(Outcome::Passed),
            failed: count(Outcome::Failed),
            skipped: count(Outcome::Skipped),
        }
    }

    /// How long each test took that ran.
    pub fn times(&self) -> Vec<Timed> {
        self.outcomes
            .iter()
            .filter_map(|(name, (_, seconds))| {
                Some(Timed {
                    name: in_words(name),
                    seconds: (*seconds)?,
                })
            })
            .collect()
    }
}

/// A test's name of nextest's, `package::binary$test`, as a filter names its parts: `binary test`.
fn in_words(name: &str) -> String {
    match name.split_once('$') {
        Some((binary, test)) => {
            let binary = binary.rsplit("::").next().unwrap_or(binary);
            format!("{binary} {test}")
        }
        None => name.to_owned(),
    }
}

/// A test's name without the `#2` of its second attempt.
fn without_attempt(name: &str) -> &str {
    match name.rsplit_once('#') {
        Some((test, attempt))
            if !attempt.is_empty() && attempt.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            test
        }
        _ => name,
    }
}

/// The totals of `cargo test`'s report: the sum of its lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
pub fn cargo_test(report: &str) -> Totals {
    let count = |line: &str, what: &str| -> usize {
        line.split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(what)?.trim_end().parse().ok())
            .unwrap_or(0)
    };
    report
        .lines()
        .filter(|line| line.starts_with("test result: "))
        .map(|line| Totals {
            passed: count(line, "passed"),
            failed: count(line, "failed"),
            skipped: count(line, "ignored"),
        })
        .fold(Totals::default(), Totals::plus)
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

    #[test]
    fn each_test_counts_once_whatever_its_suite_says() {
        let report = r#"
{"type":"suite","event":"started","test_count":4}
{"type":"test","event":"started","name":"nx::nx$c"}
{"type":"test","event":"started","name":"nx::nx$b"}
{"type":"test","event":"ignored","name":"nx::nx$c"}
{"type":"test","event":"ok","name":"nx::nx$a","exec_time":0.004725756}
{"type":"test","event":"ok","name":"nx::nx$d","exec_time":0.004237402}
{"type":"suite","event":"ok","passed":2,"failed":0,"ignored":1,"measured":0,"filtered_out":0,"exec_time":0.008}
{"type":"suite","event":"started","test_count":4}
{"type":"test","event":"failed","name":"nx::nx$b","exec_time":0.07,"stdout":"\nthread 'b' panicked\n"}
{"type":"suite","event":"failed","passed":0,"failed":1,"ignored":1,"measured":0,"filtered_out":2,"exec_time":0.07}
"#;
        let mut nextest = Nextest::default();
        report.lines().for_each(|line| nextest.take(line));
        assert_eq!(nextest.totals(), totals(2, 1, 1));
        let times = nextest.times();
        let names: Vec<_> = times.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["nx a", "nx b", "nx d"]);
        assert!((times[1].seconds - 0.07).abs() < 1e-9);
    }

    #[test]
    fn a_test_is_named_by_its_binary_and_its_path() {
        assert_eq!(
            in_words("pinif-userspace::stacks$bond::a"),
            "stacks bond::a"
        );
        assert_eq!(in_words("xtask$tally::b"), "xtask tally::b");
        assert_eq!(in_words("other"), "other");
    }

    #[test]
    fn the_last_attempt_of_a_test_decides() {
        let mut nextest = Nextest::default();
        nextest.take(r#"{"type":"test","event":"failed","name":"a::a$b#1"}"#);
        nextest.take(r#"{"type":"test","event":"ok","name":"a::a$b#2"}"#);
        nextest.take(r#"{"type":"test","event":"ok","name":"a::a$r#type::b"}"#);
        assert_eq!(nextest.totals(), totals(2, 0, 0));
    }

    #[test]
    fn what_is_no_report_counts_nothing() {
        let mut nextest = Nextest::default();
        for line in [
            "",
            "null",
            "[]",
            r#"{"type":"test"}"#,
            r#"{"type":"test","event":"ok"}"#,
            "error: no tests",
        ] {
            nextest.take(line);
        }
        assert_eq!(nextest.totals(), Totals::default());
    }

    #[test]
    fn documentation_tests_are_summed() {
        let report = "
running 2 tests
test pinif-ebpf/src/key.rs - key (line 3) ... ok
test result: ok. 12 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.42s

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.00s
";
        assert_eq!(cargo_test(report), totals(13, 1, 3));
        assert_eq!(cargo_test(""), Totals::default());
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        assert_eq!(
            totals(5, 1, 1).with_skipped_by_themselves(2),
            totals(3, 1, 3)
        );
        assert_eq!(
            totals(1, 0, 0).with_skipped_by_themselves(2),
            totals(0, 0, 1)
        );
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(
            totals(78, 0, 2).to_string(),
            "78 passed, 0 failed, 2 skipped"
        );
    }
}
