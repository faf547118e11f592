//! The table case × kernel.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    HERE,
    account::{Outcome, Scenario, sort_key},
};

/// What one kernel found.
#[derive(Debug)]
pub struct Column {
    /// The kernel's version, as far as it matters: `6.12`.
    line: String,
    /// Which kernel it was, in words; or why there was none.
    description: String,
    scenarios: BTreeMap<String, Scenario>,
}

impl Column {
    /// The column of a directory; none where nothing ran in it.
    pub fn new(directory: &str, missing: Option<String>, scenarios: Vec<Scenario>) -> Option<Self> {
        let release = scenarios.first().map(|first| first.kernel.clone());
        let (line, description) = match (release, missing) {
            (Some(release), _) if directory == HERE => {
                // What a machine's owner adds to the version is no one's concern.
                let version = release.split('-').next().unwrap_or_default();
                (
                    line_of(version),
                    format!("{version}, the kernel of the machine that made this"),
                )
            }
            (Some(release), _) => (
                directory.to_owned(),
                format!("Debian's {release}, in a virtual machine"),
            ),
            (None, Some(reason)) => (directory.to_owned(), format!("not to be had: {reason}")),
            (None, None) => return None,
        };
        Some(Self {
            line,
            description,
            scenarios: scenarios
                .into_iter()
                .map(|scenario| (scenario.name.clone(), scenario))
                .collect(),
        })
    }

    /// Its version's numbers, to sort by.
    pub fn version(&self) -> Vec<u32> {
        let numbers = self.line.split('.').map(str::parse);
        numbers.map_while(Result::ok).collect()
    }

    /// What this kernel made of a scenario.
    fn cell(&self, name: &str) -> String {
        let Some(scenario) = self.scenarios.get(name) else {
            return "not run".to_owned();
        };
        match &scenario.outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Skipped(reason) => format!("cannot run: {reason}"),
            Outcome::Failed(reason) if !reason.is_empty() => format!("FAILED: {reason}"),
            Outcome::Failed(_) => match &scenario.found {
                Some(found) => format!("FAILED: found {}", kinds(found)),
                None => "FAILED".to_owned(),
            },
        }
    }
}

/// Major and minor version.
fn line_of(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Kinds in words: each once, with the number where there are several.
fn kinds(kinds: &[String]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    let words: Vec<_> = counts
        .into_iter()
        .map(|(kind, count)| match count {
            1 => kind.to_owned(),
            _ => format!("{count} {kind}"),
        })
        .collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

/// The rows: a scenario, what it expects, and what became of it on each kernel.
fn rows(columns: &[Column]) -> Vec<Vec<String>> {
    let names: BTreeSet<_> = columns
        .iter()
        .flat_map(|column| column.scenarios.keys())
        .map(|name| (sort_key(name), name))
        .collect();
    names
        .into_iter()
        .map(|(_, name)| {
            let expected = expected(columns, name);
            let cells = columns.iter().map(|column| column.cell(name));
            [name.clone(), expected].into_iter().chain(cells).collect()
        })
        .collect()
}

/// What a scenario expects: the findings, or what else it asks for.
fn expected(columns: &[Column], name: &str) -> String {
    let reported = || {
        columns
            .iter()
            .filter_map(|column| column.scenarios.get(name))
    };
    let findings = reported().find_map(|scenario| scenario.expected.as_ref());
    match findings {
        Some(findings) => kinds(findings),
        None => reported()
            .map(|scenario| scenario.promise.clone())
            .find(|promise| !promise.is_empty())
            .unwrap_or_else(|| "–".to_owned()),
    }
}

fn heading(columns: &[Column]) -> Vec<String> {
    let lines = columns.iter().map(|column| column.line.clone());
    ["scenario".to_owned(), "expected".to_owned()]
        .into_iter()
        .chain(lines)
        .collect()
}

/// The totals of each kernel.
fn totals(column: &Column) -> String {
    let count = |is: fn(&Outcome) -> bool| {
        let outcomes = column.scenarios.values().map(|scenario| &scenario.outcome);
        outcomes.filter(|outcome| is(outcome)).count()
    };
    if column.scenarios.is_empty() {
        return column.description.clone();
    }
    format!(
        "{}: {} passed, {} failed, {} cannot run",
        column.description,
        count(|outcome| matches!(outcome, Outcome::Passed)),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_))),
    )
}

/// The table for a terminal.
pub fn text(columns: &[Column]) -> String {
    let mut rows = rows(columns);
    rows.insert(0, heading(columns));
    let widths: Vec<_> = (0..columns.len() + 2)
        .map(|at| {
            rows.iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for column in columns {
        let _ = writeln!(text, "Linux {}: {}", column.line, totals(column));
    }
    text
}

/// The page of the documentation.
pub fn markdown(columns: &[Column]) -> String {
    let mut text = "# The scenarios on each kernel\n\n\
        Made by `cargo xtask scenarios` from what the last `cargo xtask test` and `cargo xtask vm` found; not to be edited. What\n\
        each scenario sends is in [scenarios.md](scenarios.md), how kernels differ in [compatibility.md](../compatibility.md).\n\
        \"passed\" means the findings that are expected, with exact counts, and none else; \"nothing\" is expected of contained\n\
        traffic. What a kernel cannot run is no pass. Scenarios of how the program begins, ends, reads its policy and prints ask\n\
        nothing of the kernel, and run on one alone: elsewhere they are \"not run\".\n\n"
        .to_owned();
    for column in columns {
        let _ = writeln!(text, "- Linux {}: {}", column.line, totals(column));
    }
    text.push('\n');
    let mut line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    line(&heading(columns));
    line(&vec!["---".to_owned(); columns.len() + 2]);
    for row in rows(columns) {
        line(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str, outcome: Outcome, kernel: &str) -> Scenario {
        let found = vec!["unpinned".to_owned(); 2];
        Scenario {
            name: name.to_owned(),
            outcome,
            expected: Some(vec!["policy-escape".to_owned(), "unpinned".to_owned()]),
            found: Some(found),
            promise: String::new(),
            group: None,
            kernel: kernel.to_owned(),
        }
    }

    fn columns() -> Vec<Column> {
        let old = vec![
            scenario("10 b", Outcome::Failed(String::new()), "6.1.0-9-amd64"),
            scenario(
                "9 a",
                Outcome::Skipped("no vrf devices".to_owned()),
                "6.1.0-9-amd64",
            ),
        ];
        let here = vec![scenario("9 a", Outcome::Passed, "6.18.4-own")];
        [
            Column::new("6.1", None, old),
            Column::new("6.12", Some("apt has none".to_owned()), Vec::new()),
            Column::new(HERE, None, here),
            Column::new("6.7", None, Vec::new()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    #[test]
    fn only_what_passed_is_shown_as_passed() {
        assert_eq!(
            text(&columns()),
            "\
scenario  expected                 6.1                         6.12     6.18
9 a       policy-escape, unpinned  cannot run: no vrf devices  not run  passed
10 b      policy-escape, unpinned  FAILED: found 2 unpinned    not run  not run
Linux 6.1: Debian's 6.1.0-9-amd64, in a virtual machine: 0 passed, 1 failed, 1 cannot run
Linux 6.12: not to be had: apt has none
Linux 6.18: 6.18.4, the kernel of the machine that made this: 1 passed, 0 failed, 0 cannot run
"
        );
    }

    #[test]
    fn the_page_has_a_row_a_scenario() {
        let page = markdown(&columns());
        assert!(
            page.contains("\n| scenario | expected | 6.1 | 6.12 | 6.18 |\n"),
            "{page}"
        );
        assert!(
            page.contains("\n| 9 a | policy-escape, unpinned | cannot run: no vrf devices | not run | passed |\n"),
            "{page}"
        );
        assert!(!page.contains("own"), "{page}");
    }

    #[test]
    fn versions_sort_as_numbers() {
        let versions: Vec<_> = columns().iter().map(Column::version).collect();
        assert_eq!(versions, [vec![6, 1], vec![6, 12], vec![6, 18]]);
    }
}
