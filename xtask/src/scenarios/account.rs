//! What a scenario reports of itself, and all of them of one run.
//!
//! Each test writes one file, `NAME.json`, into the directory that [`DIRECTORY_VARIABLE`] names: `{"scenario": "10
//! pktinfo-udp", "outcome": "passed"|"failed"|"skipped", "reason": "…", "expected": ["device-escape"], "found":
//! ["device-escape"], "group": null, "kernel": "6.18.5"}`. It says "failed" until the scenario has ended.

use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::tally::Totals;

/// The environment variable that names the directory the tests write to.
pub const DIRECTORY_VARIABLE: &str = "PINIF_SCENARIO_DIR";

/// What became of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It found what it expected, and nothing else.
    Passed,
    /// It did not; or never ended, and then the reason says so.
    Failed(String),
    /// It could not run here, for this reason.
    Skipped(String),
}

/// One scenario's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its number and name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The kinds of the findings that it expected; `None` where it did not come to that.
    pub expected: Option<Vec<String>>,
    /// The kinds of the findings that there were.
    pub found: Option<Vec<String>>,
    /// What it expects in words, where that is no report as a whole.
    pub promise: String,
    /// The test that ran it at once with others, where there is one.
    pub group: Option<String>,
    /// The kernel's release.
    pub kernel: String,
}

impl Scenario {
    /// Whether it could not run here.
    pub fn is_skipped(&self) -> bool {
        matches!(self.outcome, Outcome::Skipped(_))
    }

    /// Reads one file's text; `None` where it is no account of a scenario.
    fn parse(text: &str) -> Option<Self> {
        let account: Value = serde_json::from_str(text).ok()?;
        let field = |name: &str| Some(one_line(account[name].as_str()?));
        let list = |name: &str| {
            let kinds = account[name].as_array()?.iter();
            Some(kinds.filter_map(Value::as_str).map(one_line).collect())
        };
        let outcome = match account["outcome"].as_str()? {
            "passed" => Outcome::Passed,
            "failed" => Outcome::Failed(field("reason").unwrap_or_default()),
            "skipped" => Outcome::Skipped(field("reason")?),
            _ => return None,
        };
        Some(Self {
            name: field("scenario")?,
            outcome,
            expected: list("expected"),
            found: list("found"),
            promise: field("promise").unwrap_or_default(),
            group: field("group"),
            kernel: field("kernel").unwrap_or_default(),
        })
    }
}

/// What a run comes to whose runner counted `tests`: a test of several scenarios counts as these, and a scenario that could not
/// run did not pass.
pub fn count(tests: Totals, scenarios: &[Scenario]) -> Totals {
    let (grouped, alone): (Vec<_>, Vec<_>) = scenarios.iter().partition(|one| one.group.is_some());
    let mut groups: BTreeMap<_, Totals> = BTreeMap::new();
    for scenario in grouped {
        let group = groups.entry(&scenario.group).or_default();
        match scenario.outcome {
            Outcome::Passed => group.passed += 1,
            Outcome::Failed(_) => group.failed += 1,
            Outcome::Skipped(_) => group.skipped += 1,
        }
    }
    let failed = groups.values().filter(|group| group.failed != 0).count();
    let tests = Totals {
        passed: tests.passed.saturating_sub(groups.len() - failed),
        failed: tests.failed.saturating_sub(failed),
        ..tests
    };
    let skipped = alone.into_iter().filter(|one| one.is_skipped()).count();
    groups
        .into_values()
        .fold(tests.with_skipped_by_themselves(skipped), Totals::plus)
}

/// Empties the directory, so that it is of one run alone.
///
/// # Errors
/// Where it cannot be written.
pub fn clear(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(directory),
    }
    .with_context(|| format!("cannot empty {}", directory.display()))
}

/// Copies what a run's scenarios wrote to what is kept of their kernel.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn keep(run: &Path, kept: &Path) -> Result<()> {
    let copy = || {
        fs::create_dir_all(kept)?;
        for entry in fs::read_dir(run)? {
            let entry = entry?;
            fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
        io::Result::Ok(())
    };
    copy().with_context(|| format!("cannot copy {} to {}", run.display(), kept.display()))
}

/// Reads what a run's scenarios wrote, in the order of their names.
///
/// # Errors
/// Where a file cannot be read, or is no account of a scenario.
pub fn read(directory: &Path) -> Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let scenario = Scenario::parse(&text).with_context(|| {
                format!("{} names no scenario, outcome and reason", path.display())
            })?;
            scenarios.push(scenario);
        }
    }
    scenarios.sort_by_cached_key(|scenario| sort_key(&scenario.name));
    Ok(scenarios)
}

/// The summary of a run: how many ran, which did not, and why.
pub fn summary(scenarios: &[Scenario]) -> String {
    let skipped: Vec<_> = scenarios
        .iter()
        .filter_map(|scenario| match &scenario.outcome {
            Outcome::Skipped(reason) => Some((&scenario.name, reason)),
            Outcome::Passed | Outcome::Failed(_) => None,
        })
        .collect();
    let kernel = scenarios
        .first()
        .map_or(String::new(), |first| format!(" on Linux {}", first.kernel));
    let mut text = format!(
        "scenarios{kernel}: {} ran, {} skipped",
        scenarios.len() - skipped.len(),
        skipped.len()
    );
    for (name, reason) in skipped {
        let _ = write!(text, "\n  skipped {name}: {reason}");
    }
    text
}

/// Orders by number first: 5 comes before 10.
pub fn sort_key(name: &str) -> (u32, String) {
    let digits = name
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(name.len());
    (name[..digits].parse().unwrap_or(u32::MAX), name.to_owned())
}

/// A text as one line, without what would move a terminal's cursor.
fn one_line(text: &str) -> String {
    text.split(char::is_control)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str, outcome: Outcome) -> Scenario {
        Scenario {
            name: name.to_owned(),
            outcome,
            expected: None,
            found: None,
            promise: String::new(),
            group: None,
            kernel: "6.18.5".to_owned(),
        }
    }

    #[test]
    fn an_account_is_read() {
        let passed = r#"{"scenario":"10 pktinfo-override-udp","outcome":"passed","reason":"","expected":["device-escape"],"found":["device-escape"],"kernel":"6.18.5"}"#;
        let kinds = Some(vec!["device-escape".to_owned()]);
        assert_eq!(
            Scenario::parse(passed),
            Some(Scenario {
                expected: kinds.clone(),
                found: kinds,
                ..scenario("10 pktinfo-override-udp", Outcome::Passed)
            })
        );
        let skipped = r#"{"scenario":"3 wireguard","outcome":"skipped","reason":"no\nmodule \u001b[2J","expected":null,"kernel":"6.18.5"}"#;
        let reason = "no module [2J".to_owned();
        assert_eq!(
            Scenario::parse(skipped),
            Some(scenario("3 wireguard", Outcome::Skipped(reason)))
        );
    }

    #[test]
    fn the_group_of_an_account_is_read() {
        let text = r#"{"scenario":"1 udp","outcome":"passed","reason":"","group":"audit::contained::unicast","kernel":"6.18.5"}"#;
        let group = Scenario::parse(text).and_then(|scenario| scenario.group);
        assert_eq!(group.as_deref(), Some("audit::contained::unicast"));
    }

    #[test]
    fn a_skip_without_a_reason_is_no_account() {
        for text in [
            "",
            "{}",
            r#"{"scenario":"3 wireguard","outcome":"skipped","kernel":"6.18.5"}"#,
            r#"{"scenario":"3 wireguard","outcome":"ran","kernel":"6.18.5"}"#,
            r#"{"outcome":"passed","kernel":"6.18.5"}"#,
        ] {
            assert_eq!(Scenario::parse(text), None, "{text}");
        }
    }

    fn totals(passed: usize, failed: usize, skipped: usize) -> Totals {
        Totals {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn a_group_counts_as_its_scenarios() {
        let of = |group: &str, name: &str, outcome| Scenario {
            group: Some(group.to_owned()),
            ..scenario(name, outcome)
        };
        let lacks = || Outcome::Skipped("no such device".to_owned());
        let failed = || Outcome::Failed(String::new());
        let run = [
            of("audit::contained::unicast", "1 udp", Outcome::Passed),
            of("audit::contained::unicast", "1 raw", Outcome::Passed),
            of("audit::domains::domains", "3 vrf", lacks()),
            of("audit::domains::domains", "3 vrf-v6", lacks()),
            of("audit::copies::copies", "11 nft-fwd", failed()),
            of("audit::copies::copies", "11 nft-dup", Outcome::Passed),
            scenario("gap af-xdp", lacks()),
            scenario("exact one-socket", Outcome::Passed),
        ];
        // Three groups, one of which failed, two scenarios alone, and a test that is no scenario.
        assert_eq!(count(totals(5, 1, 0), &run), totals(5, 1, 3));
        assert_eq!(count(totals(5, 1, 2), &[]), totals(5, 1, 2));
    }

    #[test]
    fn the_summary_counts_and_names_what_was_skipped() {
        let run = [
            scenario("5 address-bind", Outcome::Passed),
            scenario(
                "7 wireguard",
                Outcome::Skipped("this kernel has no wireguard module".to_owned()),
            ),
            scenario("10 pktinfo-override-udp", Outcome::Failed(String::new())),
        ];
        assert_eq!(
            summary(&run),
            "scenarios on Linux 6.18.5: 2 ran, 1 skipped\n  skipped 7 wireguard: this kernel has no wireguard module"
        );
        assert_eq!(summary(&[]), "scenarios: 0 ran, 0 skipped");
    }

    #[test]
    fn numbers_sort_as_numbers() {
        let mut names = ["10 b", "5 a", "unnumbered", "10 a"];
        names.sort_by_cached_key(|name| sort_key(name));
        assert_eq!(names, ["5 a", "10 a", "10 b", "unnumbered"]);
    }
}
