//! The end of a test command: how long each part took and what it counted, the slowest tests, and the closing line.

use std::{fmt::Write as _, time::Duration};

use crate::tally::{Timed, Totals};

/// How many of the slowest tests are shown.
const SLOWEST: usize = 10;

/// A part of a test command.
#[derive(Debug)]
struct Part {
    name: String,
    time: Duration,
    /// What it counted, where it ran tests.
    totals: Option<Totals>,
}

/// A test, with the kernel that it ran on.
#[derive(Debug)]
struct Test {
    kernel: String,
    timed: Timed,
}

/// What a test command has done so far.
#[derive(Debug, Default)]
pub struct Report {
    parts: Vec<Part>,
    tests: Vec<Test>,
    has_failed: bool,
}

impl Report {
    /// Adds a part that ran no tests.
    pub fn add_work(&mut self, name: &str, time: Duration) {
        self.parts.push(Part {
            name: name.to_owned(),
            time,
            totals: None,
        });
    }

    /// Adds a part that ran tests, and whether it passed as a whole.
    pub fn add_tests(&mut self, name: &str, time: Duration, totals: Totals, success: bool) {
        self.parts.push(Part {
            name: name.to_owned(),
            time,
            totals: Some(totals),
        });
        self.has_failed |= !success;
    }

    /// Adds a part that is one check, and whether it passed.
    pub fn add_check(&mut self, name: &str, time: Duration, success: bool) {
        let totals = Totals {
            passed: usize::from(success),
            failed: usize::from(!success),
            skipped: 0,
        };
        self.add_tests(name, time, totals, success);
    }

    /// Adds how long tests took on a kernel.
    pub fn add_times(&mut self, kernel: &str, tests: Vec<Timed>) {
        self.tests.extend(tests.into_iter().map(|timed| Test {
            kernel: kernel.to_owned(),
            timed,
        }));
    }

    /// Prints it all on standard output, the closing line `N passed, N failed, N skipped` last. Whether all passed.
    pub fn close(&self, all: Duration) -> bool {
        print!("{}", self.text(all));
        !self.has_failed && self.totals().failed == 0
    }

    fn totals(&self) -> Totals {
        self.parts
            .iter()
            .filter_map(|part| part.totals)
            .fold(Totals::default(), Totals::plus)
    }

    fn text(&self, all: Duration) -> String {
        let mut text = String::new();
        self.write_parts(&mut text, all);
        self.write_slowest(&mut text);
        let _ = writeln!(text, "{}", self.totals());
        text
    }

    fn write_parts(&self, text: &mut String, all: Duration) {
        let width = self
            .parts
            .iter()
            .map(|part| part.name.chars().count())
            .fold("part".len(), usize::max);
        let mut row = |name: &str, time: &str, counts: [String; 3]| {
            let [passed, failed, skipped] = counts;
            let line = format!("{name:width$}  {time:>10}  {passed:>6}  {failed:>6}  {skipped:>7}");
            let _ = writeln!(text, "{}", line.trim_end());
        };
        row(
            "part",
            "time",
            ["passed", "failed", "skipped"].map(str::to_owned),
        );
        let counts = |totals: Option<Totals>| match totals {
            Some(Totals {
                passed,
                failed,
                skipped,
            }) => [passed, failed, skipped].map(|count| count.to_string()),
            None => Default::default(),
        };
        for part in &self.parts {
            row(&part.name, &in_words(part.time), counts(part.totals));
        }
        row("all", &in_words(all), counts(Some(self.totals())));
    }

    fn write_slowest(&self, text: &mut String) {
        let mut tests: Vec<_> = self.tests.iter().collect();
        tests.sort_by(|a, b| b.timed.seconds.total_cmp(&a.timed.seconds));
        tests.truncate(SLOWEST);
        if tests.is_empty() {
            return;
        }
        let width = tests
            .iter()
            .map(|test| test.kernel.len())
            .max()
            .unwrap_or(0);
        let _ = writeln!(text, "the slowest tests");
        for Test { kernel, timed } in tests {
            let _ = writeln!(
                text,
                "{:>8.1} s  {kernel:width$}  {}",
                timed.seconds, timed.name
            );
        }
    }
}

/// A time as a person reads it.
fn in_words(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, _) => format!("{:.1} s", time.as_secs_f64()),
        (minutes, seconds) => format!("{minutes} m {seconds:02} s"),
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

    fn timed(name: &str, seconds: f64) -> Timed {
        Timed {
            name: name.to_owned(),
            seconds,
        }
    }

    #[test]
    fn the_closing_line_is_the_last_and_sums_all_parts() {
        let mut report = Report::default();
        report.add_work("build", Duration::from_millis(1540));
        report.add_tests(
            "Linux 6.18, here",
            Duration::from_secs(75),
            totals(10, 0, 1),
            true,
        );
        report.add_tests(
            "Linux 6.1, in 2 machines",
            Duration::from_secs(600),
            totals(8, 1, 0),
            false,
        );
        report.add_times(
            "here",
            vec![timed("stacks a", 1.25), timed("stacks b", 0.5)],
        );
        report.add_times("6.1", vec![timed("stacks a", 12.0)]);
        let expected = "\
part                            time  passed  failed  skipped
build                          1.5 s
Linux 6.18, here            1 m 15 s      10       0        1
Linux 6.1, in 2 machines   10 m 00 s       8       1        0
all                        11 m 20 s      18       1        1
the slowest tests
    12.0 s  6.1   stacks a
     1.2 s  here  stacks a
     0.5 s  here  stacks b
18 passed, 1 failed, 1 skipped
";
        assert_eq!(report.text(Duration::from_secs(680)), expected);
        assert!(!report.close(Duration::ZERO));
    }

    #[test]
    fn ten_tests_are_shown() {
        let mut report = Report::default();
        let tests = (0..12).map(|number| timed(&format!("t{number}"), f64::from(number)));
        report.add_times("here", tests.collect());
        let text = report.text(Duration::ZERO);
        assert!(text.contains("t11") && text.contains("t2\n"), "{text}");
        assert!(!text.contains("t1\n"), "{text}");
        assert!(text.ends_with("0 passed, 0 failed, 0 skipped\n"), "{text}");
    }

    #[test]
    fn a_run_that_failed_as_a_whole_fails_without_a_failed_test() {
        let mut report = Report::default();
        report.add_tests("here", Duration::ZERO, totals(1, 0, 0), false);
        assert!(!report.close(Duration::ZERO));
    }
}
