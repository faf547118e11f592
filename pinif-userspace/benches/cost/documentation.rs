//! What a run writes into the documentation: tables, and the picture.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::machine;
use crate::parts::instructions;
use crate::paths::{self, page::replaced};
use crate::plot;
use crate::report::{Row, Section};

const PAGE: &str = "developers/performance.md";
const PICTURE: &str = "developers/performance.svg";
/// The parts that have places of their own in the page, which they write also where they run alone.
const OWN: [&str; 3] = ["readers", "alertmanager", "fleet"];

/// Writes what was measured: all of it after a `whole` run; else, what has a place of its own.
///
/// # Errors
/// Where a file cannot be read or written, or the page lacks a place.
pub fn write(sections: &[Section], rounds: usize, directory: &Path, whole: bool) -> Result<()> {
    let page = directory.join(PAGE);
    let mut text =
        fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let (counted, measured): (Vec<_>, Vec<_>) = sections
        .iter()
        .partition(|section| section.name == instructions::NAME);
    let (own, common): (Vec<_>, Vec<_>) = measured
        .into_iter()
        .partition(|section| OWN.contains(&section.name));
    if whole {
        plot::draw(sections, &directory.join(PICTURE))?;
        let targets = targets(common.iter().copied());
        let tables = [&targets].into_iter().chain(common);
        let rounds = format!("{rounds} rounds");
        text = replaced(&text, "cargo xtask bench", &block(&rounds, tables))?;
    }
    for name in OWN {
        let own: Vec<_> = own
            .iter()
            .copied()
            .filter(|section| section.name == name)
            .collect();
        if !own.is_empty() {
            let command = format!("cargo xtask bench --only {name}");
            text = replaced(&text, &command, &block("the median of its rounds", own))?;
        }
    }
    if !counted.is_empty() {
        text = paths::page::written(&text, &paths::all()?)?;
    }
    fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))
}

/// These tables, with what they were measured on.
fn block<'s>(measured: &str, sections: impl IntoIterator<Item = &'s Section>) -> String {
    let mut tables = format!("\nMeasured on {}: {measured}.\n", machine::description());
    for section in sections {
        tables += &format!("\n### {}\n\n{}", section.title, section.table());
        if let Some(about) = section.about {
            tables += &format!("\n{about}\n");
        }
    }
    tables + "\n"
}

/// All that has a target, and whether it is met.
fn targets<'s>(sections: impl IntoIterator<Item = &'s Section>) -> Section {
    let mut rows = Vec::new();
    for section in sections {
        for row in section.rows.iter().filter(|row| row.target.is_some()) {
            rows.push(Row {
                of: vec![format!("{}: {}", section.name, row.of.join(", "))],
                missing: row.missing.clone(),
                rounds: Vec::new(),
                ..*row
            });
        }
    }
    Section {
        name: "targets",
        title: "Targets",
        about: None,
        columns: vec!["what"],
        rows,
    }
}
