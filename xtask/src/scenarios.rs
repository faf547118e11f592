//! What the tests on the real kernel tell of themselves: a scenario that cannot run here says so, and why.
//!
//! The test of each scenario writes one file, `NAME.json`, into the directory that [`DIRECTORY_VARIABLE`] names:
//! `{"scenario": "10 pktinfo-override-udp", "outcome": "ran"|"skipped", "reason": "…", "kernel": "6.18.5"}`.

use std::{fmt::Write as _, fs, io, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The environment variable that tells the tests where to write.
pub const DIRECTORY_VARIABLE: &str = "PINIF_SCENARIO_DIR";

/// One scenario's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its number and name.
    name: String,
    /// Why it could not run; `None` where it ran.
    skipped: Option<String>,
    /// The kernel's release.
    kernel: String,
}

impl Scenario {
    /// Whether it could not run here.
    pub fn is_skipped(&self) -> bool {
        self.skipped.is_some()
    }

    /// Reads one file's text; `None` where it is no account of a scenario.
    fn parse(text: &str) -> Option<Self> {
        let account: Value = serde_json::from_str(text).ok()?;
        let field = |name: &str| Some(one_line(account[name].as_str()?));
        let skipped = match account["outcome"].as_str()? {
            "ran" => None,
            "skipped" => Some(field("reason")?),
            _ => return None,
        };
        Some(Self {
            name: field("scenario")?,
            skipped,
            kernel: field("kernel").unwrap_or_default(),
        })
    }
}

/// Empties the directory, so that it tells of one run alone.
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
                format!("{} tells no scenario, outcome and reason", path.display())
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
        .filter_map(|scenario| Some((&scenario.name, scenario.skipped.as_ref()?)))
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
fn sort_key(name: &str) -> (u32, String) {
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

    fn scenario(name: &str, skipped: Option<&str>) -> Scenario {
        Scenario {
            name: name.to_owned(),
            skipped: skipped.map(str::to_owned),
            kernel: "6.18.5".to_owned(),
        }
    }

    #[test]
    fn an_account_is_read() {
        let ran = r#"{"scenario":"10 pktinfo-override-udp","outcome":"ran","reason":"","kernel":"6.18.5"}"#;
        assert_eq!(
            Scenario::parse(ran),
            Some(scenario("10 pktinfo-override-udp", None))
        );
        let skipped = r#"{"scenario":"3 wireguard","outcome":"skipped","reason":"no\nmodule \u001b[2J","kernel":"6.18.5"}"#;
        assert_eq!(
            Scenario::parse(skipped),
            Some(scenario("3 wireguard", Some("no module [2J")))
        );
    }

    #[test]
    fn a_skip_without_a_reason_is_no_account() {
        for text in [
            "",
            "{}",
            r#"{"scenario":"3 wireguard","outcome":"skipped","kernel":"6.18.5"}"#,
            r#"{"scenario":"3 wireguard","outcome":"passed","kernel":"6.18.5"}"#,
            r#"{"outcome":"ran","kernel":"6.18.5"}"#,
        ] {
            assert_eq!(Scenario::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_summary_counts_and_names_what_was_skipped() {
        let run = [
            scenario("5 address-bind", None),
            scenario("7 wireguard", Some("this kernel has no wireguard module")),
            scenario("10 pktinfo-override-udp", None),
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
